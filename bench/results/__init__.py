"""What a run leaves, and the file that keeps it: written and read.

It may import `bench.cases`, and of `bench.worker` the protocol. `measures` makes numbers of
samples; `summary` reads a file into one row per case. tests/support/rooms.py lists the doors.
"""
