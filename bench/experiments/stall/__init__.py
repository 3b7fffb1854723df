"""How late a heartbeat is beside the clients."""
