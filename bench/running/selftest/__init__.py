"""`ab` tried where the truth is known: the trials, the counts of its answers, their file."""
