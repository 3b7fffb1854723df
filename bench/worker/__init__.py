"""A room of the suite."""
