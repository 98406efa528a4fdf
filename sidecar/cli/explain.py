"""`explain`: what becomes of one record and why, offline; or why the running daemon did or did not page."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC

import msgspec
from rich.console import Console

from sidecar.cli import client
from sidecar.cli.configured import load_or_report
from sidecar.cli.incidents import TIMELINE, timeline_rows
from sidecar.cli.terminal import json_text, print_table, printable
from sidecar.core.decode.registry import FORMATS
from sidecar.core.report import instant
from sidecar.replay.explaining import Explanation, Judged, explain_line, explain_place
from sidecar.replay.logs import STDIN, DamagedError, MissingError, find
from sidecar.replay.looking_back import at_that_time, nearest, verdict_on
from sidecar.replay.picking import LineError
from sidecar.telemetry.incidents import IncidentAnswer, IncidentsAnswer

SHOWN = 5
"""Incidents around a time that are told of in full."""

EPILOG = """\
examples:
  explain --config sidecar.yaml /var/log/app/app.log:1204     a record, with all that was logged before it
  explain --config sidecar.yaml --line '{"level":"fatal","message":"it broke"}'
  tail -1 app.log | explain --config sidecar.yaml --line -
  explain --config sidecar.yaml --incident 0b8e48d6d3816aaa   why the running daemon told whom of it
  explain --config sidecar.yaml --at 2026-03-01T03:12Z --rule "API errors"   why it did (not) page then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    client.add_arguments(parser)
    parser.add_argument("place", nargs="?", metavar="PATH:LINENO", help="a line of a log, counted from 1")
    parser.add_argument("--line", metavar="LINE", help="a line by itself; - reads it from standard input")
    parser.add_argument("--format", choices=sorted(FORMATS), help="of the log (default: that of the fitting input)")
    parser.add_argument("--incident", metavar="ID", help="ask the running daemon about an incident")
    parser.add_argument("--at", metavar="WHEN", help="ask the running daemon about a time; UTC unless it has an offset")
    parser.add_argument("--rule", metavar="NAME", help="only this rule")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """0: it was explained. 1: there is nothing of the kind. 2: it could not be asked."""
    asked = [one for one in (args.place, args.line, args.incident, args.at) if one is not None]
    if len(asked) != 1:
        print("expected one of PATH:LINENO, --line, --incident or --at", file=sys.stderr)
        return 2
    try:
        return _record(args) if args.place is not None or args.line is not None else _daemon(args)
    except (client.MissingError, LineError) as error:
        print(error, file=sys.stderr)
        return 1
    except (client.AskError, MissingError, DamagedError, _UsageError) as error:
        print(error, file=sys.stderr)
        return 2


class _UsageError(Exception):
    """The arguments make no sense; the message is for people."""


def _record(args: argparse.Namespace) -> int:
    if args.config is None:
        raise _UsageError("expected --config: the rules stand there")
    if not args.config.is_file():
        raise _UsageError(f"{args.config}: no such file")
    config = load_or_report(args.config, os.environ)
    if config is None:
        return 2
    known = [rule.name for rule in config.rules]
    if args.rule is not None and args.rule not in known:
        raise _UsageError(f"--rule: no enabled rule has the name {args.rule!r}; there are {', '.join(known)}")
    now = time.time_ns()
    if args.line is not None:
        line = sys.stdin.readline() if args.line == STDIN else args.line
        explanation = explain_line(config, line.encode("utf-8", "surrogateescape"), now, args.format)
    else:
        path, colon, number = args.place.rpartition(":")
        if not colon or not number.isdecimal():
            raise _UsageError(f"{args.place}: expected PATH:LINENO, such as app.log:12")
        found = find([path], now)
        if len(found) != 1 or len(found[0].logs) != 1:
            raise _UsageError(f"{path}: expected one file")
        explanation = explain_place(config, found[0], int(number), args.format)
    if args.rule is not None:
        only = [judged for judged in explanation.rules if judged.rule == args.rule]
        explanation = msgspec.structs.replace(explanation, rules=only)
    if args.json:
        print(json_text(explanation))
    else:
        _show(explanation)
    return 0 if explanation.problem is None else 1


def _show(one: Explanation) -> None:
    framed = one.framed
    print(printable(f"{framed.place}: {framed.bytes:,} bytes, format {framed.format}, record in line {framed.lines}"))
    if framed.truncated:
        print("  it is longer than max_line_bytes: the rest was left out")
    if one.problem is not None:
        print(f"  {printable(one.problem)}")
        return
    sys.stdout.flush()
    rows = [(part.field, part.value, part.origin) for part in one.decoded]
    print_table(Console(highlight=False), ("FIELD", "VALUE", "FROM"), rows)
    for judged in one.rules:
        _show_rule(judged)


def _show_rule(one: Judged) -> None:
    print(f"\n{printable(one.rule)}: {printable(one.outcome)}")
    if one.group:
        print("  group: " + printable(", ".join(f"{name} {value}" for name, value in one.group.items())))
    for sending in one.send:
        print(printable(f"  → {sending.channel} {sending.action}: {sending.text}"))
    for held in one.withheld:
        print(printable(f"  ✗ {', '.join(held.channels)}: {held.reason}" + (f", {held.text}" if held.text else "")))


def _daemon(args: argparse.Namespace) -> int:
    daemon = client.find(args, os.environ)
    if args.incident is not None:
        if not args.incident.replace("-", "").isalnum():
            raise _UsageError("--incident: expected an id as `incidents list` shows it")
        _tell([client.get(daemon, f"incidents/{args.incident}", {}, IncidentAnswer)], as_json=args.json)
        return 0
    try:
        at = instant(args.at, UTC)
    except ValueError:
        raise _UsageError("--at: expected a date or time such as 2026-03-01T03:12Z") from None
    answer = client.get(daemon, "incidents", {"state": "all", "limit": "1000"}, IncidentsAnswer)
    near = at_that_time(answer.incidents, at, args.rule)
    if not near:
        whose = "" if args.rule is None else f" of rule {args.rule}"
        other = nearest(answer.incidents, at, args.rule)
        close = "" if other is None else f"; the nearest opened at {other.opened_at} ({other.id})"
        print(printable(f"no incident{whose} was open around that time{close}"), file=sys.stderr)
        if answer.history_from is not None:
            print(f"history is kept from {answer.history_from} on", file=sys.stderr)
        print("what its rules made of a record: explain PATH:LINENO; of a whole log: replay", file=sys.stderr)
        return 1
    _tell([client.get(daemon, f"incidents/{one.id}", {}, IncidentAnswer) for one in near[:SHOWN]], as_json=args.json)
    if len(near) > SHOWN:
        print(f"{len(near) - SHOWN} more incidents were open then", file=sys.stderr)
    return 0


def _tell(found: list[IncidentAnswer], *, as_json: bool) -> None:
    if as_json:
        told = [{"incident": one.incident, "verdict": verdict_on(one), "timeline": one.timeline} for one in found]
        print(json_text({"incidents": told}))
        return
    for one in found:
        verdict = verdict_on(one)
        print(printable(f"{one.incident.title} ({one.incident.id})"))
        print(f"  {printable(verdict.opened)}")
        for mark, lines in (("→ told", verdict.told), ("✗ not told", verdict.not_told)):
            for line in lines:
                print(f"  {mark}: {printable(line)}")
        print(f"  {printable(verdict.end)}")
        sys.stdout.flush()
        print_table(Console(highlight=False), TIMELINE, timeline_rows(one))
        print()
