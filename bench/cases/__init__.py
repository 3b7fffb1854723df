"""What can be asked for: dimensions and their values, a case and its name, profiles, the matrix.

Imports no other room. From outside bench it uses fake_redo_child, for costs and faults. A worker
loads `case` and what it imports, so these modules need the standard library only; `config` and
`rules` read profiles and need msgspec. The doors are listed in tests/support/rooms.py, and in
docs/architecture.md.
"""
