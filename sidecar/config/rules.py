"""From rules as written to rules as the core runs them.

Everything in here looks at one rule by itself; what it has to do with channels is in `routes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from sidecar.config import document
from sidecar.config.codes import Code, read_codes
from sidecar.config.conditions import read_conditions
from sidecar.config.credentials import Credentials
from sidecar.config.grouping import Counting, read_counting, resolve_counting
from sidecar.config.peace import build_mute
from sidecar.config.problems import Place, Source, listed, quoted
from sidecar.config.reader import Reader
from sidecar.config.secrets import Secret
from sidecar.config.templates import template_problems
from sidecar.config.units import duration_text
from sidecar.config.values import check_name, read_duration, read_level, read_level_map
from sidecar.core.conditions import Condition
from sidecar.core.levels import Level
from sidecar.core.rule import EscalationPolicy, ResolvePolicy, Rule
from sidecar.core.times import MILLISECOND, MINUTE

MUCH_MEMORY = 256 * 1024 * 1024
"""Bytes of match times that one rule may come to hold without a word: what a small container can spare."""

BYTES_A_MATCH = 9
"""A time and a level."""

MAX_RULE_NAME = 200
"""Characters: the name is a metric label and stands in every notification."""

_LINKS = (
    ("runbook_url", "Runbook"),
    ("dashboard_url", "Dashboard"),
    ("logs_url", "Logs"),
    ("conference_url", "Conference bridge"),
)
_DURATIONS = {"allowed_lateness": True, "max_page_age": False, "reopen_after": True, "stale_after": False}
"""Names, and whether zero makes sense."""


class Entry(msgspec.Struct, frozen=True):
    """A rule where it is written."""

    reader: Reader
    place: Place
    doc: document.Rule

    def __repr__(self) -> str:  # what is written there may hold secrets
        return f"Entry({self.source.file}, {self.source.where(self.place)})"

    @property
    def source(self) -> Source:
        """The file that holds it."""
        return self.reader.source


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What rules take that do not say otherwise; durations in nanoseconds."""

    counting: Counting
    resolve: ResolvePolicy
    max_groups: int
    max_pages_per_hour: int
    escalation: str | None
    durations: dict[str, int]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as far as it is right."""

    entry: Entry
    rule: Rule
    enabled: bool
    key: Secret | None
    """Its own PagerDuty key."""
    has_key: bool
    """Whether it gives a key, right or wrong."""
    ignored: frozenset[str]
    """Codes that the linter is not to say of it."""


def build_defaults(reader: Reader, doc: document.Defaults) -> Defaults:
    """Check the `defaults` section."""
    place: Place = ("defaults",)
    return Defaults(
        counting=read_counting(reader.source, place, doc),
        resolve=_resolve(reader, (*place, "resolve"), doc.resolve, ResolvePolicy()),
        max_groups=doc.max_groups,
        max_pages_per_hour=doc.max_pages_per_hour,
        escalation=None if doc.escalation is UNSET else doc.escalation,
        durations={
            name: read_duration(reader.source, (*place, name), getattr(doc, name), zero=zero)
            for name, zero in _DURATIONS.items()
        },
    )


def build_rule(
    entry: Entry, defaults: Defaults, credentials: Credentials, policies: Mapping[str, EscalationPolicy]
) -> Built:
    """Check one rule. Its problems go to its source; what it returns is complete only if there were none."""
    source, place, doc = entry.source, entry.place, entry.doc
    if not source.failed((*place, "rule_name")) and source.has((*place, "rule_name")):
        check_name(source, (*place, "rule_name"), doc.rule_name, limit=MAX_RULE_NAME)
    group_by, grouping = resolve_counting(source, place, read_counting(source, place, doc), defaults.counting)
    threshold, window = _threshold(entry)
    key = credentials.take_pagerduty_key(source, place, "pager_duty_key", doc.pager_duty_key, doc.pager_duty_key_file)
    rule = Rule(
        name=doc.rule_name,
        error_types=(doc.error_type,) if isinstance(doc.error_type, str) else tuple(doc.error_type),
        levels=_levels(entry),
        condition=_condition(entry),
        threshold=threshold,
        window=window,
        group_by=group_by,
        grouping=grouping,
        channels=None if doc.channels is UNSET else tuple(dict.fromkeys(doc.channels)),
        routing_key=None if key is None else key.fingerprint(),
        resolve=_resolve(entry.reader, (*place, "resolve"), doc.resolve, defaults.resolve),
        escalation=_escalation(entry, defaults, policies),
        mute=build_mute(source, (*place, "mute"), doc.mute),
        renotify=None if doc.renotify == "off" else read_duration(source, (*place, "renotify"), doc.renotify),
        max_groups=defaults.max_groups if doc.max_groups is UNSET else doc.max_groups,
        max_pages_per_hour=(defaults.max_pages_per_hour if doc.max_pages_per_hour is UNSET else doc.max_pages_per_hour),
        severity_map=read_level_map(source, (*place, "severity_map"), dict(doc.severity_map)),
        links=_links(entry, group_by),
        labels=_labels(entry, group_by),
        **_durations(entry, defaults),
    )
    _warn_of_memory(source, place, rule)
    return Built(
        entry=entry,
        rule=rule,
        enabled=doc.enabled,
        key=key,
        has_key=source.has((*place, "pager_duty_key")) or source.has((*place, "pager_duty_key_file")),
        ignored=read_codes(source, (*place, "lint_ignore"), doc.lint_ignore),
    )


def _levels(entry: Entry) -> frozenset[Level]:
    source, place, doc = entry.source, entry.place, entry.doc
    if source.has((*place, "severity")) and source.has((*place, "severities")):
        source.error((*place, "severities"), f"expected one of {source.key((*place, 'severity'))} and this, found both")
    least = Level.ERROR if doc.severity is UNSET else read_level(source, (*place, "severity"), doc.severity)
    if doc.severities is not UNSET:
        found = [read_level(source, (*place, "severities", i), word) for i, word in enumerate(doc.severities)]
        return frozenset(level for level in found if level is not None)
    return frozenset(level for level in Level if least is not None and level >= least)


def _condition(entry: Entry) -> Condition | None:
    if entry.doc.match is UNSET:
        return None
    return read_conditions(entry.reader, entry.doc.match, (*entry.place, "match"))


def _threshold(entry: Entry) -> tuple[int | None, int | None]:
    source, place, doc = entry.source, entry.place, entry.doc
    count, minutes, duration = ((*place, name) for name in ("count_threshold", "time_window_minutes", "window"))
    if source.has(minutes) and source.has(duration):
        source.error(duration, f"expected one of {source.key(minutes)} and this, found both")
    windowed = source.has(minutes) or source.has(duration)
    if source.has(count) and not windowed:
        source.error(count, "expected `timeWindowMinutes` or `window` beside it: a threshold counts within a window")
    elif windowed and not source.has(count):
        given = minutes if source.has(minutes) else duration
        source.error(given, "expected `countThreshold` beside it: a window is for counting up to a threshold")
    window: int | None = None
    if doc.window is not UNSET:
        window = read_duration(source, duration, doc.window)
    elif doc.time_window_minutes is not UNSET:
        window = round(doc.time_window_minutes * MINUTE)
        if window < MILLISECOND:
            source.error(minutes, "expected a window of at least a millisecond")
    return (None if doc.count_threshold is UNSET else doc.count_threshold), window


def _resolve(
    reader: Reader,
    place: Place,
    doc: Literal["manual"] | document.ResolveMap | UnsetType,
    default: ResolvePolicy,
) -> ResolvePolicy:
    source = reader.source
    if doc is UNSET:
        return default
    if isinstance(doc, str):
        return ResolvePolicy(after_quiet=None)
    quiet, silent, clearing = ((*place, name) for name in ("after_quiet", "even_if_silent", "when"))
    if not any(source.has(key) for key in (quiet, silent, clearing)) and not source.failed(place):
        source.error(place, "expected `manual`, or a map with `after_quiet`, `when` or both")
    if source.has(silent) and source.has(clearing) and not source.has(quiet):
        source.error(silent, "expected `after_quiet` beside it: it says what silence counts as")
    after_quiet: int | None = ResolvePolicy().after_quiet
    if doc.after_quiet is not UNSET:
        after_quiet = read_duration(source, quiet, doc.after_quiet)
    elif source.has(clearing):
        after_quiet = None
    when = None if doc.when is UNSET else read_conditions(reader, doc.when, clearing)
    return ResolvePolicy(after_quiet=after_quiet, even_if_silent=doc.even_if_silent, when=when)


def _escalation(entry: Entry, defaults: Defaults, policies: Mapping[str, EscalationPolicy]) -> EscalationPolicy | None:
    written = entry.doc.escalation
    name = defaults.escalation if written is UNSET else written
    if name is None or name == "off":
        return None
    if name not in policies:
        place: Place = ("defaults", "escalation") if written is UNSET else (*entry.place, "escalation")
        if not entry.source.failed(place):
            known = f"; there are {listed(sorted(policies))}" if policies else ""
            entry.source.error(place, f"expected the name of a policy of `escalation`{known}, found {quoted(name)}")
    return policies.get(name)


def _durations(entry: Entry, defaults: Defaults) -> dict[str, int]:
    result = {}
    for name, zero in _DURATIONS.items():
        written = getattr(entry.doc, name)
        result[name] = (
            defaults.durations[name]
            if written is UNSET
            else read_duration(entry.source, (*entry.place, name), written, zero=zero)
        )
    return result


def _links(entry: Entry, group_by: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    links: list[tuple[str, str]] = []
    for name, text in _LINKS:
        url = getattr(entry.doc, name)
        if url is UNSET:
            continue
        place = (*entry.place, name)
        if not url.startswith(("https://", "http://")) or not url.isprintable() or " " in url:
            entry.source.error(place, "expected an address that begins with `https://` or `http://`, without spaces")
        for problem in template_problems(url, group_by):
            entry.source.error(place, problem)
        links.append((text, url))
    return tuple(links)


def _labels(entry: Entry, group_by: tuple[str, ...]) -> dict[str, str]:
    for name, text in entry.doc.labels.items():
        place = (*entry.place, "labels", name)
        check_name(entry.source, place, name, limit=MAX_RULE_NAME)
        for problem in template_problems(text, group_by):
            entry.source.error(place, problem)
    return dict(entry.doc.labels)


def _warn_of_memory(source: Source, place: Place, rule: Rule) -> None:
    """Say how much a rule can come to hold, if that is much."""
    if not rule.threshold or not rule.window:
        return
    spans = 1 + math.ceil(rule.allowed_lateness / rule.window)
    groups = rule.max_groups if rule.group_by else 1
    size = rule.threshold * groups * BYTES_A_MATCH * spans
    if size > MUCH_MEMORY:
        source.warning(
            place,
            f"can take up to {size / 1024**2:,.0f} MiB: {rule.threshold} matches in each of {groups} groups, "
            f"{spans} times over for {duration_text(rule.allowed_lateness)} of lateness",
            Code.MUCH_MEMORY,
        )
