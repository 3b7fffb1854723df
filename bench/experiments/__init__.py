"""A folder per experiment: which cases it covers, what they show, and how that is shown.

May import errors, places and interrupts of bench, and the rooms cases, results, statistics and
show. Only the command line imports this room, through its one door: `registry`.
"""
