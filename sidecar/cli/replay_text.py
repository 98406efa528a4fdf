"""What `replay` tells people, and what it tells programs of a comparison."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from sidecar.cli.report import tables
from sidecar.cli.terminal import print_table, printable
from sidecar.core.comparing import Difference, Page
from sidecar.core.durations import duration_text
from sidecar.core.notification import Action
from sidecar.core.replayed import ended_soon, stopped_soon
from sidecar.core.report import Report
from sidecar.core.simulation import Simulated
from sidecar.core.suggesting import Candidate, Suggestion
from sidecar.core.texts import plural, reason_text, rfc3339, span_text
from sidecar.core.times import SECOND
from sidecar.replay.driver import Outcome
from sidecar.telemetry.reporting import ReportAnswer

SHOWN = 200
"""Incidents that people are shown; `--json` has all that are kept."""

HEAD = ("OPENED", "LEVEL", "COUNT", "ENDED", "PAGES", "RULE", "GROUP", "TOLD")
ABOUT_PEOPLE = "How fast"
"""The one table of a report that a replay knows nothing of."""


def show(incidents: Sequence[Simulated], report: Report, outcome: Outcome, timezone: str) -> None:
    """Show incidents and totals."""
    console = Console(highlight=False)
    if incidents:
        print_table(console, HEAD, [_row(one) for one in incidents[:SHOWN]])
    if len(incidents) > SHOWN:
        print(f"… and {len(incidents) - SHOWN:,} more incidents; --json has them")
    print()
    for line in summary(incidents, report, outcome):
        print(printable(line))
    if outcome.stats.first is None:
        return
    answer = ReportAnswer(
        since=rfc3339(outcome.stats.first),
        until=rfc3339(outcome.simulation.now),
        timezone=timezone,
        retention="",
        history_from=None,
        report=report,
    )
    for heading, head, rows in tables(answer):
        if heading != ABOUT_PEOPLE:
            print(f"\n{heading}")
            sys.stdout.flush()
            print_table(console, head, rows)


def summary(incidents: Sequence[Simulated], report: Report, outcome: Outcome) -> list[str]:
    """Return what there is to say, in a line each."""
    stats, simulation = outcome.stats, outcome.simulation
    if stats.first is None or stats.last is None:
        return ["no records"]
    still = [one for one in incidents if one.incident.is_open]
    lines = [
        f"{plural(report.pages, 'page')}, {report.night_pages} at night, "
        f"{ended_soon(incidents)} auto-resolved within 10 minutes "
        f"({stopped_soon(incidents)} whose error had stopped by then)",
        f"{plural(report.incidents, 'incident')}: {report.resolved} resolved, {len(still)} still open",
        f"{stats.lines:,} lines in {plural(stats.files, 'file')}, from {rfc3339(stats.first)} to {rfc3339(stats.last)}",
    ]
    if simulation.now - stats.last >= SECOND:
        lines.append(f"the clock ran on until {rfc3339(simulation.now)}, when nothing more was left to decide")
    lines += [
        f"still open: {one.incident.rule}, since {rfc3339(one.incident.opened_at)} ({_group(one)})"
        for one in still[:10]
    ]
    if len(still) > 10:
        lines.append(f"still open: {len(still) - 10} more")
    return lines


def doubts(outcome: Outcome) -> list[str]:
    """Return what may make the answer less than exact."""
    stats, unkept = outcome.stats, outcome.simulation.unkept
    lines = []
    if stats.rejected:
        lines.append(f"{plural(stats.rejected, 'line')} could not be decoded")
    if stats.wrong_times:
        lines.append(
            f"{plural(stats.wrong_times, 'record')} had a time far ahead of the records around: "
            "counted at theirs, as the daemon would have counted them at their arrival"
        )
    lines += [f"{count:,} {name} are not shown: there are too many" for name, count in unkept.items()]
    return lines


def show_difference(difference: Difference) -> None:
    """Show what changes."""
    rows = [("+ added", page.at, *_page(page), "") for page in difference.added]
    rows += [("- gone", page.at, *_page(page), "") for page in difference.gone]
    rows += [("~ moved", old.at, *_page(old), _moved(old, new)) for old, new in difference.moved]
    shown = [(what, rfc3339(at), *rest) for what, at, *rest in sorted(rows, key=lambda row: (row[1], row[0]))]
    if shown:
        print_table(Console(highlight=False), ("", "AT", "RULE", "GROUP", "CHANNEL", ""), shown)
        print()
    print(
        f"{plural(len(difference.added), 'page')} added, {len(difference.gone)} gone, {len(difference.moved)} moved, "
        f"{difference.unchanged} unchanged"
    )


def difference_document(difference: Difference) -> dict[str, Any]:
    """Return a comparison for programs."""
    return {
        "added": [_page_document(page) for page in difference.added],
        "gone": [_page_document(page) for page in difference.gone],
        "moved": [{"from": _page_document(old), "to": _page_document(new)} for old, new in difference.moved],
        "unchanged": difference.unchanged,
    }


def show_suggestions(suggestions: Sequence[Suggestion]) -> None:
    """Show candidates and a recommendation for each rule."""
    for suggestion in suggestions:
        print(printable(suggestion.rule))
        sys.stdout.flush()
        told = "PAGES" if suggestion.wakes else "TOLD"
        head = ("THRESHOLD", "WINDOW", told, "PER DAY", "INCIDENTS", "LONG KEPT", "MISSED", "LATER BY", "")
        print_table(Console(highlight=False), head, [_candidate(suggestion, one) for one in suggestion.candidates])
        print(f"→ {suggestion.reason}")
        if suggestion.dropped:
            print(f"  {suggestion.dropped:,} events at the end were too many to be taken into account")
        print()


def _candidate(suggestion: Suggestion, one: Candidate) -> tuple[str, ...]:
    marks = [mark for mark, fits in (("as it is", one.current), ("recommended", one == suggestion.recommended)) if fits]
    return (
        str(one.threshold),
        span_text(one.window_seconds * SECOND),
        f"{one.pages:,}",
        f"{one.pages_per_day:g}",
        f"{one.incidents:,}",
        f"{one.kept:,}",
        f"{one.missed:,}",
        duration_text(one.latest_seconds) if one.latest_seconds else "-",
        ", ".join(marks),
    )


def _row(one: Simulated) -> tuple[str, ...]:
    incident = one.incident
    triggers = (sent for sent in one.sent if sent.action is Action.TRIGGER)
    told = ", ".join(
        dict.fromkeys(f"{sent.channel}{':high' if sent.high else ''} {rfc3339(sent.at)[11:19]}" for sent in triggers)
    )
    reasons = dict.fromkeys(moment.reason.value for moment in one.moments if moment.reason is not None)
    ended = "open" if incident.resolved_at is None else rfc3339(incident.resolved_at)[:19] + "Z"
    return (
        rfc3339(incident.opened_at)[:19] + "Z",
        incident.level.label,
        f"{incident.count:,}",
        ended,
        str(len(one.pages)),
        incident.rule,
        _group(one),
        "; ".join(part for part in (told or "nobody", ", ".join(reasons), reason_text(incident) or "") if part),
    )


def _group(one: Simulated) -> str:
    return ", ".join(one.incident.fields.values()) or one.incident.kind.value


def _page(page: Page) -> tuple[str, str, str]:
    return page.rule, ", ".join(value for _, value in page.group), page.channel


def _moved(old: Page, new: Page) -> str:
    way = "later" if new.at > old.at else "earlier"
    return f"{duration_text(abs(new.at - old.at) / SECOND)} {way}"


def _page_document(page: Page) -> dict[str, Any]:
    return {"rule": page.rule, "group": dict(page.group), "channel": page.channel, "at": rfc3339(page.at)}
