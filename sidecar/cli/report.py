"""`report`: how much was paged, by what and when, and how fast it was answered."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.console import Console

from sidecar.cli import client
from sidecar.cli.terminal import json_text, print_table, printable
from sidecar.core.durations import duration_text
from sidecar.core.markdown import escape, table
from sidecar.core.report import Report, Spread, is_night
from sidecar.telemetry.reporting import DEFAULT_SINCE, ReportAnswer

NOISIEST = 10
"""Rules that people are shown; `--json` has all."""

BAR = 40
"""Characters of the longest bar."""

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""Heading, names of the columns, rows."""


EPILOG = """\
examples:
  report --config sidecar.yaml                             the last seven days
  report --since 30d --markdown --config sidecar.yaml      for a review
  report --since 2026-03-01 --until 2026-04-01 --timezone Europe/Berlin --json --config sidecar.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    client.add_arguments(parser)
    parser.add_argument(
        "--since",
        metavar="WHEN",
        default=DEFAULT_SINCE,
        help="how far back, such as 7d, or a date or time such as 2026-03-01 (default: 7d)",
    )
    parser.add_argument("--until", metavar="WHEN", help="the same for the end (default: now)")
    parser.add_argument(
        "--timezone", metavar="ZONE", help="whose days and nights, such as Europe/Berlin (default: this machine's)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout")
    form.add_argument("--markdown", action="store_true", help="Markdown on stdout")


def run(args: argparse.Namespace) -> int:
    """0: it was shown. 2: the daemon could not be asked, or not for this."""
    query = {"since": args.since, "timezone": args.timezone or local_timezone()}
    if args.until is not None:
        query["until"] = args.until
    try:
        answer = client.get(client.find(args, os.environ), "report", query, ReportAnswer)
    except client.AskError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        print(json_text(answer))
    elif args.markdown:
        print(markdown(answer))
    else:
        _show(answer)
    return 0


def local_timezone() -> str:
    """Return the name of this machine's time zone, or its offset where it has no name that others know."""
    given = os.environ.get("TZ", "").removeprefix(":")
    name = given or str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    if name:
        with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo(name).key
    return time.strftime("%z")


def _show(answer: ReportAnswer) -> None:
    console = Console(highlight=False)
    title, *lines = summary(answer)
    console.print(title, style="bold", markup=False)
    for line in lines:
        print(printable(line))
    for heading, head, rows in tables(answer):
        print(f"\n{heading}")
        sys.stdout.flush()
        print_table(console, head, rows)


def markdown(answer: ReportAnswer) -> str:
    """Return the report as a Markdown document."""
    title, *lines = summary(answer)
    parts = [f"# {escape(title)}", "\n".join(f"- {escape(line)}" for line in lines)]
    for heading, head, rows in tables(answer):
        parts += [f"## {heading}", table(head, [[escape(cell) for cell in row] for row in rows])]
    return "\n\n".join(parts)


def summary(answer: ReportAnswer) -> list[str]:
    """Return a title, and what there is to say in a line each."""
    report = answer.report
    lines = [
        f"Pages from {answer.since} to {answer.until}",
        f"{_counted(report.pages, 'page')}, {report.night_pages:,} of them at night "
        f"({answer.night_from}:00 to {answer.night_to}:00 {answer.timezone})",
        f"{_counted(report.incidents, 'incident')}: {report.resolved:,} resolved, "
        f"{report.acknowledged:,} acknowledged, {report.open:,} open",
    ]
    if report.unattended_share is not None:
        lines.append(
            f"{report.unattended_share:.0%} of the resolved ended by themselves, and nobody had acknowledged them"
        )
    if answer.history_from is not None and answer.history_from > answer.since:
        lines.append(f"There is no history before {answer.history_from}")
    return lines


def tables(answer: ReportAnswer) -> list[Table]:
    """Return all tables that have rows."""
    report = answer.report
    found: list[Table] = [
        ("Pages per day and rule", ("DAY", "PAGES", "RULE"), _days(report)),
        ("Pages by hour of the day", ("HOUR", "NIGHT", "PAGES", ""), _hours(report)),
        (
            "Noisiest rules",
            ("PAGES", "AT NIGHT", "INCIDENTS", "UNATTENDED", "SUPPRESSED", "RULE"),
            [
                (
                    f"{one.pages:,}",
                    f"{one.night_pages:,}",
                    f"{one.incidents:,}",
                    f"{one.unattended / one.resolved:.0%}" if one.resolved else "-",
                    f"{one.suppressed:,}",
                    one.rule,
                )
                for one in report.rules[:NOISIEST]
            ],
        ),
        (
            "How fast",
            ("", "INCIDENTS", "MEDIAN", "95 % WITHIN"),
            [
                _speed("detect (MTTD)", report.detect),
                _speed("acknowledge (MTTA)", report.acknowledge),
                _speed("resolve (MTTR)", report.resolve),
            ],
        ),
        ("Incidents by kind", ("KIND", "INCIDENTS"), [(k, f"{n:,}") for k, n in report.incidents_by_kind.items() if n]),
        ("Not sent", ("REASON", "NOTIFICATIONS"), [(reason, f"{n:,}") for reason, n in report.suppressed.items()]),
    ]
    return [one for one in found if one[2]]


def _days(report: Report) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for day, pages in report.pages_by_day.items():
        by_rule = [(one.rule, one.pages_by_day[day]) for one in report.rules if day in one.pages_by_day]
        rows.append((day, f"{pages:,}", by_rule[0][0] if len(by_rule) == 1 else ""))
        if len(by_rule) > 1:
            rows += [("", f"{count:,}", rule) for rule, count in sorted(by_rule, key=lambda one: -one[1])]
    return rows


def _hours(report: Report) -> list[tuple[str, ...]]:
    most = max(report.pages_by_hour)
    return [
        (f"{hour:02}", "night" if is_night(hour) else "", f"{pages:,}", "#" * -(-pages * BAR // most))
        for hour, pages in enumerate(report.pages_by_hour)
        if most
    ]


def _speed(name: str, spread: Spread) -> tuple[str, ...]:
    return name, f"{spread.count:,}", _took(spread.median_seconds), _took(spread.p95_seconds)


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else duration_text(seconds)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
