"""Send a real test event to each channel and report what it answered."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from sidecar.cli.configured import load_or_report
from sidecar.cli.terminal import json_text
from sidecar.delivery.probe import Report, send_tests

EPILOG = """\
examples:
  send-test --config sidecar.yaml                      every channel
  send-test --config sidecar.yaml --channel pagerduty  one; it triggers and resolves
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="configuration file")
    parser.add_argument("--channel", metavar="NAME", action="append", help="only this channel; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """0: every channel accepted. 1: one refused or could not be reached. 2: bad usage or configuration."""
    config = load_or_report(args.config, os.environ)
    if config is None:
        return 2
    names = args.channel or list(config.channels)
    if not names:
        print("there are no channels to test: none is configured", file=sys.stderr)
        return 2
    unknown = [name for name in names if name not in config.channels]
    if unknown:
        known = ", ".join(config.channels) or "none"
        print(f"no such channel: {', '.join(unknown)}; configured: {known}", file=sys.stderr)
        return 2
    reports = asyncio.run(send_tests(config, names, now=time.time_ns()))
    if args.json:
        print(json_text(reports))
    else:
        for report in reports:
            print(_line(report))
    return 0 if all(report.ok for report in reports) else 1


def _line(report: Report) -> str:
    verdict = "ok  " if report.ok else "FAIL"
    status = "" if report.status is None else f" {report.status}"
    return f"{verdict} {report.channel}: {report.action}: {report.result}{status} {report.detail}".rstrip()
