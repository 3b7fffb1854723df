"""Arrivals from a clock, beside the closed loop."""
