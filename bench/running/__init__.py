"""The suite's side of measuring: processes, runs, rounds, and the pairs of `ab`.

Its doors, and the rooms that it may import, are listed in tests/support/rooms.py.
"""
