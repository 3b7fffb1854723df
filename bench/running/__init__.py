"""The suite's side of measuring: processes, runs, rounds, and the pairs of `ab`.

It may import `bench.cases`, `bench.worker`, `bench.results`, `bench.statistics` and
`bench.machine`. Its doors are `run`, `schedule`, `capacity`, `ab`, `snapshots`, `processes`,
`scratch` and the modules of `equipment` and `selftest`. They are listed in tests/support/rooms.py.
"""
