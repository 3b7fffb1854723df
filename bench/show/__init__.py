"""How a result is told: words, tables, pictures, the page.

It may import `bench.cases`, `bench.results` and `bench.statistics`. It knows no single experiment:
what shows a result gets a `view.Reading`, which brings the experiments' views. Its doors are listed
in tests/support/rooms.py.
"""
