"""How a result is shown: sentences, tables, exports, pictures and the page.

May import errors, places and interrupts of bench, and the rooms cases, results and statistics; it
knows the experiments only as the views it is given. The doors are listed in tests/support/rooms.py,
and in docs/architecture.md.
"""
