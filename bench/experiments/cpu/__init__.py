"""CPU per redo, with CPU to spare and without."""
