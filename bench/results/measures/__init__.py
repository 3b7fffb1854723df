"""From samples to measures and their keys, a file per experiment."""
