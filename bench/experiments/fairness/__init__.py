"""How evenly redos are shared out among clients."""
