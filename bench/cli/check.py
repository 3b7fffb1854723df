"""``check``: shows what on this machine disturbs a measurement, and what to do about it."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.text import Text

from bench.cli.options import add_flag, say
from bench.machine.checks import examine, is_disturbing, verdict
from bench.machine.finding import Finding, Severity
from bench.machine.machine import Machine

_HEADINGS = {
    Severity.DISTURBS: ("Disturbs", "bold red"),
    Severity.MAY_DISTURB: ("May disturb", "bold yellow"),
    Severity.UNKNOWN: ("Cannot be seen from here", "bold"),
    Severity.FINE: ("Fine", "bold green"),
}


EXAMPLES: Final = (
    "python -m bench check",
    "python -m bench check --json",
    "python -m bench check && python -m bench run",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says what on this machine disturbs a measurement (exit status 1), and what to do about it."
        " It changes no setting."
    )
    add_flag(parser, "--json", "the findings as JSON")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    findings = examine(Machine.here(sample_s=1.0))
    if args.json:
        data = {"findings": [asdict(finding) for finding in findings], "verdict": verdict(findings)}
        say(out, json.dumps(data, indent=2))
    else:
        _print(findings, out)
    return int(any(map(is_disturbing, findings)))


def _print(findings: Sequence[Finding], out: Console) -> None:
    for severity, (heading, style) in _HEADINGS.items():
        group = [finding for finding in findings if finding.severity is severity]
        if not group:
            continue
        out.print(heading, style=style)
        for finding in group:
            seen = Text(_wrapped(f"{finding.kind}: {finding.text}", out.width, columns=2))
            seen.stylize("bold", 0, 2 + len(finding.kind) + 1)
            out.print(seen, highlight=False)
            if finding.advice:
                say(out, _wrapped(f"-> {finding.advice}", out.width, columns=4))
            if finding.command:
                # Never wrapped, so that it can be pasted.
                say(out, f"       {finding.command}")
        out.print()
    say(out, verdict(findings))
    say(out, "How far it scatters is measured by: python -m bench ab HEAD HEAD")


def _wrapped(text: str, width: int, *, columns: int) -> str:
    """Wraps and indents the text, all lines but the first further. Options are not broken."""
    begin = " " * columns
    return textwrap.fill(
        text,
        width,
        initial_indent=begin,
        subsequent_indent=f"{begin}   ",
        break_on_hyphens=False,
        break_long_words=False,
    )
