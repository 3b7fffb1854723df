"""What runs in the measured process: one case, driven by the suite over stdin and stdout.

``__main__`` is the program, which the suite starts as a file on a bare interpreter. This room may
import `bench.cases` and walredo, and otherwise the standard library only. Its doors are `protocol`,
which the suite speaks too, and `tenant_limits`. They are listed in tests/support/rooms.py.
"""
