"""What on this machine disturbs a measurement: one check is one function. No setting is changed.

It may import `bench.cases`. Its doors are `checks`, `finding`, `machine`, `pipes`,
`disturbance` and `cgroup`. They are listed in tests/support/rooms.py.
"""
