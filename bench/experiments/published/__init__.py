"""The figures that were published, beside the result's own."""
