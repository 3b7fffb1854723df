"""A file for each command: its options, the calls it makes, and what it prints.

It may import every other room. Its door is `main`, the only place that decides exit statuses. No
command imports another one: what several need is in `options`, `comparing` and `measuring`.
"""
