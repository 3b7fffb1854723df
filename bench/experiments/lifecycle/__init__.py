"""Cold starts, relaunches, reaping, and storms of launches."""
