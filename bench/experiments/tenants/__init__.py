"""Many tenants, each with a manager of its own."""
