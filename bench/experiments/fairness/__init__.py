"""How evenly clients are served."""
