"""The figures: how they look, and the ordinary ones."""
