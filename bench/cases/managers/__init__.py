"""The kinds of managers that can be measured.

What a kind is (its name, how its clients wait, what the worker runs for it, how its curve looks) is
declared in `registry`, or in `yours`, and nowhere else. Standard library only, because the worker
imports it.
"""
