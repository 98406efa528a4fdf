"""`replay`: what rules would have done over old logs, what an edit of them changes, and what would page less."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from sidecar.cli import replay_text as text
from sidecar.cli.configured import load_or_report
from sidecar.cli.report import local_timezone
from sidecar.cli.terminal import json_text
from sidecar.config.model import Config
from sidecar.config.ruleset import ruleset_of
from sidecar.core.comparing import compare, pages_of
from sidecar.core.decode.registry import FORMATS
from sidecar.core.replayed import chosen, shown, tallied, totals
from sidecar.core.report import Report, instant
from sidecar.core.rule import Rule
from sidecar.core.simulation import Simulated
from sidecar.core.suggesting import Collected, Suggestion, days_between, suggest
from sidecar.core.texts import rfc3339
from sidecar.replay.driver import Outcome, longest_wait, replay
from sidecar.replay.logs import STDIN, MissingError, Series, find
from sidecar.replay.reading import Event, Span
from sidecar.telemetry.api import RefusedError
from sidecar.telemetry.reporting import zone_of

EPILOG = """\
examples:
  replay --config sidecar.yaml /var/log/app/*.log*        everything that rotation has left, oldest first
  replay --config sidecar.yaml --rule "API errors" logs/  one rule; a directory with all logs in it
  zcat old.gz | replay --config sidecar.yaml -            standard input
  replay --config sidecar.yaml --compare edited.yaml logs/   which pages an edit adds, drops or moves
  replay --config sidecar.yaml --suggest logs/            thresholds and windows that would page less
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--config", required=True, metavar="FILE", type=Path, help="configuration with the rules")
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="files (.gz .zst .xz .bz2 too), directories, globs, or - for stdin"
    )
    parser.add_argument("--rule", action="append", metavar="NAME", help="show only this rule; may be repeated")
    parser.add_argument("--since", metavar="WHEN", help="leave out what was logged before, such as 2026-03-01T22:00")
    parser.add_argument("--until", metavar="WHEN", help="leave out what was logged then or later")
    parser.add_argument("--format", choices=sorted(FORMATS), help="of the logs (default: that of the fitting input)")
    parser.add_argument(
        "--timezone", metavar="ZONE", help="whose days and nights, such as Europe/Berlin (default: this machine's)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--compare", metavar="FILE", type=Path, help="show what changes under this configuration")
    what.add_argument("--suggest", action="store_true", help="try thresholds and windows, and recommend some")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """0: it was replayed. 1: a log could not be read to its end. 2: it could not be begun."""
    # Series are read side by side, a file each: a node has hundreds.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        return _Command(args).run()
    except (_UsageError, MissingError) as error:
        print(error, file=sys.stderr)
        return 2


class _UsageError(Exception):
    """The arguments make no sense together; the message is for people."""


class _Command:
    """One call, its arguments checked."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Raises `_UsageError`, `MissingError`."""
        self._args = args
        name = args.timezone or local_timezone()
        try:
            self.zone: tzinfo = zone_of(name)
        except RefusedError as error:
            raise _UsageError(f"--{error}") from None
        self.timezone = name
        self._span = Span(_time("since", args.since, self.zone), _time("until", args.until, self.zone))
        if self._span.since is not None and self._span.until is not None and self._span.since >= self._span.until:
            raise _UsageError("--since: expected a time before --until")
        self._config = _loaded(args.config)
        self._other = _loaded(args.compare) if args.compare else None
        if self._other is not None and STDIN in args.paths:
            raise _UsageError("--compare reads the logs twice, and standard input can be read once only")
        known = {rule.name for config in (self._config, self._other) if config for rule in config.rules}
        for rule in args.rule or ():
            if rule not in known:
                raise _UsageError(
                    f"--rule: no enabled rule has the name {rule!r}; there are {', '.join(sorted(known))}"
                )
        self._found = find(args.paths, time.time_ns())

    def run(self) -> int:
        """Replay and show. Return the exit code."""
        if self._args.suggest:
            outcome = self._suggest()
        elif self._other is not None:
            outcome = self._compare(self._other)
        else:
            outcome = self._replay()
        for problem in outcome.stats.problems:
            print(problem, file=sys.stderr)
        for line in text.doubts(outcome):
            print(line, file=sys.stderr)
        return 1 if outcome.stats.problems else 0

    def _replay(self) -> Outcome:
        outcome = self._over_logs(self._config)
        incidents = chosen(outcome.simulation, self._args.rule)
        report = self._report(incidents, outcome)
        if self._args.json:
            print(json_text({"incidents": [shown(one) for one in incidents], "totals": self._totals(outcome, report)}))
        else:
            text.show(incidents, report, outcome, self.timezone)
        return outcome

    def _compare(self, other: Config) -> Outcome:
        before, after = self._over_logs(self._config), self._over_logs(other)
        sides = [chosen(outcome.simulation, self._args.rule) for outcome in (before, after)]
        difference = compare(*map(pages_of, sides))
        if self._args.json:
            found = [
                self._totals(one, self._report(each, one)) for one, each in zip((before, after), sides, strict=True)
            ]
            print(
                json_text({**text.difference_document(difference), "totals": {"before": found[0], "after": found[1]}})
            )
        else:
            text.show_difference(difference)
        return after

    def _suggest(self) -> Outcome:
        wanted = [
            rule for rule in self._config.rules
            if rule.threshold is not None and (not self._args.rule or rule.name in self._args.rule)
        ]  # fmt: skip
        if not wanted:
            raise _UsageError("--suggest: no rule with a threshold to try others for")
        collected = Collected(wanted)
        outcome = self._over_logs(self._config, lambda event: collected.add(event[0], event[2], event[3]))
        suggestions = [self._suggestion(rule, collected, outcome) for rule in wanted]
        if self._args.json:
            print(json_text({"suggestions": suggestions}))
        else:
            text.show_suggestions(suggestions)
        return outcome

    def _suggestion(self, rule: Rule, collected: Collected, outcome: Outcome) -> Suggestion:
        ruleset, stats = ruleset_of(self._config), outcome.stats
        return suggest(
            rule,
            collected,
            ruleset.routing,
            page_budget=ruleset.page_budget,
            silences=ruleset.silences,
            days=days_between(stats.first or 0, stats.last or 0),
            longest_wait=longest_wait([rule]),
        )

    def _over_logs(self, config: Config, watch: Callable[[Event], None] = lambda event: None) -> Outcome:
        with _progress(self._found) as advance:
            return replay(
                config, self._found, log_format=self._args.format, span=self._span, progress=advance, watch=watch
            )

    def _report(self, incidents: list[Simulated], outcome: Outcome) -> Report:
        first = outcome.stats.first or 0
        return tallied(incidents, first, max(outcome.simulation.now, first) + 1, self.zone)

    def _totals(self, outcome: Outcome, report: Report) -> dict[str, Any]:
        stats, simulation = outcome.stats, outcome.simulation
        return {
            **totals(chosen(simulation, self._args.rule), report),
            "timezone": self.timezone,
            "first_record": None if stats.first is None else rfc3339(stats.first),
            "last_record": None if stats.last is None else rfc3339(stats.last),
            "clock_ran_until": None if stats.first is None else rfc3339(simulation.now),
            "read": {
                name: value
                for name, value in msgspec.to_builtins(stats).items()
                if name not in ("first", "last", "problems")
            },
            "not_kept": dict(simulation.unkept),
        }


def _loaded(path: Path) -> Config:
    if not path.is_file():
        raise _UsageError(f"{path}: no such file")
    config = load_or_report(path, os.environ)
    if config is None:
        raise _UsageError(f"{path}: cannot be used as it is")
    return config


def _time(name: str, given: str | None, zone: tzinfo) -> int | None:
    try:
        return None if given is None else instant(given, zone)
    except ValueError:
        raise _UsageError(f"--{name}: expected a date or time such as 2026-03-01 or 2026-03-01T22:00") from None


def _progress(found: list[Series]) -> AbstractContextManager[Callable[[int], None] | None]:
    """Return a bar that is moved on by bytes of the disk; without a terminal there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext()
    return _Bar(console, sum(log.size for series in found for log in series.logs))


class _Bar:
    """Shows how far it is."""

    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True
        )
        self._task = self._progress.add_task("", total=total or None)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda size: self._progress.advance(self._task, size)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
