"""How the commands say something that is no table: a line as it is, never wrapped or coloured."""

from __future__ import annotations

from rich.console import Console

from bench.machine.checks import in_brief
from bench.machine.machine import Machine


def say(console: Console, text: str, style: str | None = None) -> None:
    """Prints the text as it is: a script may read it, so nothing in it is markup."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def say_what_disturbs(err: Console) -> None:
    """One line before a measurement, or none if nothing is known to disturb it."""
    if brief := in_brief(Machine.here()):
        say(err, f"machine: {brief} (`python -m bench check` says more)")
