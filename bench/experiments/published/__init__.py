"""The published benchmark beside a result."""
