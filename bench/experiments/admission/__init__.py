"""Limits on the reads that hold data or redo at once: what each bounds, at which price."""
