"""Clients of sync that share a pool of threads."""
