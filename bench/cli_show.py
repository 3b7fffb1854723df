"""``show``: a result file as tables, or as JSON for programs."""

from __future__ import annotations

import argparse
import json
from typing import Final

from rich.console import Console

from bench import exports, table
from bench.result_names import RESULT_HELP, RESULT_METAVAR, result_path
from bench.stats import load_summary

TABLE: Final = "table"
JSON_FORMS: Final = {
    "json": table.as_data,
    "github-action": exports.github_action,
    "bencher": exports.bencher,
}
"""Format -> the plain data of a summary in it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar=RESULT_METAVAR, help=RESULT_HELP)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--format",
        choices=(TABLE, *JSON_FORMS),
        default=TABLE,
        help="table (the default); all of it as JSON; or JSON for github-action-benchmark"
        " (customSmallerIsBetter) or for Bencher (docs/ci.md)",
    )
    forms.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="short for --format json",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    summary = load_summary(result_path(args.result))
    if args.format == TABLE:
        table.print_summary(summary, out)
        return 0
    text = json.dumps(JSON_FORMS[args.format](summary), indent=1)
    out.print(text, highlight=False, markup=False, soft_wrap=True)
    return 0
