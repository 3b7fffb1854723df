"""CPU per redo, by process and mode, with and without background load."""
