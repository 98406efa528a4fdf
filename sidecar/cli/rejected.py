"""`rejected`: the last records that the running daemon could not decode."""

from __future__ import annotations

import argparse
import os
import sys

from rich.console import Console

from sidecar.cli import client
from sidecar.cli.terminal import json_text, print_table
from sidecar.telemetry.rejections import RejectedAnswer

HEAD = ("TIME", "INPUT", "REASON", "SAMPLE")


EPILOG = """\
examples:
  rejected --config sidecar.yaml                                  the last hundred
  rejected --input http --reason invalid_json --limit 10 --config sidecar.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    client.add_arguments(parser)
    parser.add_argument("--limit", metavar="N", help="show the last N, at most 1,000 (default: 100)")
    parser.add_argument("--input", metavar="NAME", help="only of this input")
    parser.add_argument("--reason", metavar="REASON", help="only for this reason, such as invalid_json")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """0: they were shown. 2: the daemon could not be asked, or not for this."""
    asked = {"limit": args.limit, "input": args.input, "reason": args.reason}
    query = {name: value for name, value in asked.items() if value is not None}
    try:
        answer = client.get(client.find(args, os.environ), "rejected", query, RejectedAnswer)
    except client.AskError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        print(json_text(answer))
        return 0
    if answer.rejected:
        rows = [(record.time, record.input, record.reason, record.sample) for record in answer.rejected]
        print_table(Console(highlight=False), HEAD, rows)
        sys.stdout.flush()
    print(_summary(answer), file=sys.stderr)
    return 0


def _summary(answer: RejectedAnswer) -> str:
    if answer.max == 0:
        return "quarantine_max is 0: rejected records are counted, and none is kept"
    return (
        f"{len(answer.rejected):,} of {answer.kept:,} rejected records that are kept (quarantine_max: {answer.max:,})"
    )
