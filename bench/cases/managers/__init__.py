"""The kinds of managers that can be measured: a file per kind, and a registry of all of them.

What a kind is (its name, how its clients wait, what the worker runs for it, how its curve looks) is
declared here and nowhere else. To add a kind: write its file, and list it in `registry`. Standard
library only, because the worker imports it.
"""
