"""A manager for each client, in one process."""
