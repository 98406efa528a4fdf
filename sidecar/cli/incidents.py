"""`incidents`: what is open, what happened to one, taking it on or closing it, and writing it up."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from sidecar.cli import client
from sidecar.cli.terminal import json_text, print_table, printable
from sidecar.telemetry.incidents import DoneAnswer, IncidentAnswer, IncidentsAnswer, ShownIncident
from sidecar.telemetry.postmortem import draft, facts_of

HEAD = ("ID", "STATE", "LEVEL", "SINCE", "COUNT", "RULE", "TITLE")
TIMELINE = ("TIME", "WHAT", "BY", "CHANNEL", "TEXT")


EPILOG = """\
examples:
  incidents --config sidecar.yaml                              what is open
  incidents show ID --config sidecar.yaml                all that happened to one
  incidents ack ID --note "on it" --config sidecar.yaml  everybody who was told hears of it
  incidents resolve ID --url http://127.0.0.1:9881
  incidents export ID --output post-mortem.md --config sidecar.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "action", nargs="?", default="list", choices=("list", "show", "ack", "resolve", "export"), help="default: list"
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the incident")
    client.add_arguments(parser)
    parser.add_argument("--state", choices=("open", "resolved", "all"), help="list these (default: open)")
    parser.add_argument("--limit", metavar="N", help="list the last N, at most 1,000 (default: 100)")
    parser.add_argument("--note", help="what to say about it; everybody who was told of the incident reads it")
    parser.add_argument("--by", help="who says so (default: this user)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout")
    form.add_argument("--markdown", action="store_true", help="export: the draft of a post-mortem (default)")
    parser.add_argument("--output", metavar="FILE", type=Path, help="export: write a new file instead of stdout")


def run(args: argparse.Namespace) -> int:
    """0: done. 1: there is no such incident. 2: the daemon could not be asked."""
    if (args.id is None) is not (args.action == "list"):
        print(f"incidents {args.action} {'needs an' if args.id is None else 'takes no'} ID", file=sys.stderr)
        return 2
    if args.action != "export" and (args.markdown or args.output is not None):
        print("--markdown and --output go with incidents export", file=sys.stderr)
        return 2
    try:
        _run(args, client.find(args, os.environ))
    except client.AskError as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, client.MissingError) else 2
    except OSError as error:
        if args.output is None:
            raise
        print(f"{args.output}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _run(args: argparse.Namespace, daemon: client.Daemon) -> None:
    if args.action == "list":
        asked = {"state": args.state, "limit": args.limit}
        query = {name: value for name, value in asked.items() if value is not None}
        found = client.get(daemon, "incidents", query, IncidentsAnswer)
        print(json_text(found)) if args.json else _list(found)
        return
    path = f"incidents/{quote(args.id, safe='', errors='surrogateescape')}"
    if args.action == "export":
        one = client.get(daemon, path, {}, IncidentAnswer)
        _write(json_text(one) + "\n" if args.json else draft(one), args.output)
        return
    if args.action == "show":
        one = client.get(daemon, path, {}, IncidentAnswer)
        print(json_text(one)) if args.json else _show(one)
        return
    word = {"by": client.author(args.by), "note": args.note or ""}
    done = client.post(daemon, f"{path}/{args.action}", word, DoneAnswer)
    if args.json:
        print(json_text(done))
    else:
        print(f"{printable(done.incident.title)}: {'' if done.changed else 'was '}{done.incident.state}")


def _list(found: IncidentsAnswer) -> None:
    if found.incidents:
        print_table(Console(highlight=False), HEAD, [_row(incident) for incident in found.incidents])
        sys.stdout.flush()
    else:
        print("no incidents", file=sys.stderr)
    if found.history_from is not None:
        print(f"history is kept from {found.history_from} on", file=sys.stderr)


def _row(incident: ShownIncident) -> tuple[str, ...]:
    count = f"{incident.count:,}"
    return incident.id, incident.state, incident.level, incident.opened_at, count, incident.rule, incident.title


def _show(one: IncidentAnswer) -> None:
    print(printable(one.incident.title))
    print(f"  {printable(one.incident.message)}")
    for name, value in (*facts_of(one), *((link.text, link.href) for link in one.links)):
        print(f"  {printable(name)}: {printable(value)}")
    for title in one.details.folded:
        print(f"  - {printable(title)}")
    for sample in one.samples:
        for line in sample.splitlines():
            print(f"  | {printable(line)}")
    sys.stdout.flush()
    print_table(Console(highlight=False), TIMELINE, timeline_rows(one))


def timeline_rows(one: IncidentAnswer) -> list[tuple[str, ...]]:
    """Return the rows of a table with everything that happened."""
    return [
        (
            event.at,
            event.what,
            event.by,
            event.channel,
            event.text + (f" ({event.times:,} times until {event.until})" if event.times > 1 else ""),
        )
        for event in one.timeline
    ]


def _write(text: str, path: Path | None) -> None:
    """Write to a file that is not there yet: a draft that somebody has completed must not be lost."""
    if path is None:
        sys.stdout.write(text)
        return
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    print(f"written to {path}", file=sys.stderr)
