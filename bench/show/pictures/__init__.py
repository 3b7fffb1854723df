"""Figures: how they look (`style`), are laid out (`sheet`), drawn and written (`figures`); and the
ordinary ones, a module each.

Imports what `bench.show` may. The doors are `choice` for a result, `comparison`, `history` and
`tails`; views of experiments use `figures`, `sheet`, `style`, `panels`, `clients` and `knee`.
"""
