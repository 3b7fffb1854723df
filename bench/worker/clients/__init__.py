"""The loops that clients run, a file for each, and what the loops share (`slice`, `timers`).

`choice` picks the loop of a case. The loops call functions that it gives them: they know no manager
and no child.
"""
