"""``show``: a result file as tables, or as JSON for programs."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from bench.result_names import RESULT_HELP, RESULT_METAVAR, result_path
from bench.stats import load_summary
from bench.table import as_data, print_summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar=RESULT_METAVAR, help=RESULT_HELP)
    parser.add_argument("--json", action="store_true", help="all of the table as JSON")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    summary = load_summary(result_path(args.result))
    if args.json:
        out.print(
            json.dumps(as_data(summary), indent=1), highlight=False, markup=False, soft_wrap=True
        )
    else:
        print_summary(summary, out)
    return 0
