"""Open loads beside the closed loop."""
