"""`silences`: what nobody is told of for a while; adding to that, and ending it."""

from __future__ import annotations

import argparse
import os
import sys
from urllib.parse import quote

from rich.console import Console

from sidecar.cli import client
from sidecar.cli.terminal import json_text, print_table, printable
from sidecar.telemetry.silences import ASKED, ShownSilence, SilenceAnswer, SilencesAnswer

HEAD = ("ID", "STATE", "START", "END", "BY", "MATCHERS", "COMMENT")


EPILOG = """\
examples:
  silences --config sidecar.yaml
  silences add service=checkout --for 2h --comment "upgrade" --config sidecar.yaml
  silences expire ID --config sidecar.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("action", nargs="?", default="list", choices=("list", "add", "expire"), help="default: list")
    parser.add_argument(
        "what",
        nargs="*",
        metavar="MATCHER|ID",
        help="add: name=value, name!=value, name=~regex, name!~regex, all of which must fit; expire: the silence",
    )
    client.add_arguments(parser)
    parser.add_argument("--state", choices=tuple(ASKED), help="list these (default: current, not over)")
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--for", dest="duration", metavar="DURATION", help="add: for this long, such as 2h")
    until.add_argument("--until", metavar="TIME", help="add: until then, such as 2026-03-01T22:00:00+01:00")
    parser.add_argument("--start", metavar="TIME", help="add: from then on (default: now)")
    parser.add_argument("--comment", help="add: why; stands in the incidents' timelines")
    parser.add_argument("--by", help="add: who says so (default: this user)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """0: done. 1: there is no such silence. 2: it could not be asked."""
    wrong = _usage(args)
    if wrong:
        print(wrong, file=sys.stderr)
        return 2
    try:
        answer = _ask(args, client.find(args, os.environ))
    except client.AskError as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, client.MissingError) else 2
    if args.json:
        print(json_text(answer))
    elif isinstance(answer, SilenceAnswer):
        print(f"{answer.silence.id}: {answer.silence.state} until {answer.silence.end}")
    elif not answer.silences:
        print("no silences", file=sys.stderr)
    else:
        print_table(Console(highlight=False), HEAD, [_row(silence) for silence in answer.silences])
    return 0


def _usage(args: argparse.Namespace) -> str:
    """Say what is wrong with the arguments together; empty: nothing."""
    match args.action:
        case "list":
            return "silences list takes no matchers" if args.what else ""
        case "expire":
            return "" if len(args.what) == 1 else "silences expire needs the ID of one silence"
        case _ if not args.what:
            return "silences add needs matchers such as service=checkout"
        case _ if args.duration is None and args.until is None:
            return "silences add needs --for or --until: a silence has an end"
    return ""


def _ask(args: argparse.Namespace, daemon: client.Daemon) -> SilencesAnswer | SilenceAnswer:
    if args.action == "list":
        query = {} if args.state is None else {"state": args.state}
        return client.get(daemon, "silences", query, SilencesAnswer)
    if args.action == "expire":
        name = quote(args.what[0], safe="", errors="surrogateescape")
        return client.post(daemon, f"silences/{name}/expire", {}, SilenceAnswer)
    asked = {"duration": args.duration, "end": args.until, "start": args.start, "comment": args.comment}
    body = {name: value for name, value in asked.items() if value is not None}
    return client.post(daemon, "silences", {**body, "matchers": args.what, "by": client.author(args.by)}, SilenceAnswer)


def _row(silence: ShownSilence) -> tuple[str, ...]:
    matchers = " ".join(printable(matcher) for matcher in silence.matchers)
    return silence.id, silence.state, silence.start, silence.end, silence.by, matchers, silence.comment
