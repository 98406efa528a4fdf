"""What must hold of a story's end, whatever the daemons went through."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
from campaign import Campaign
from story import PAGED, TAGS, THRESHOLD, Course, Group
from witness import testimony

from sidecar.config.load import load
from sidecar.config.ruleset import ruleset_of
from sidecar.core.advance import Engine
from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry
from sidecar.core.state import Intent
from sidecar.core.timeline import Moment, What
from sidecar.standin.traffic import Received, Service
from sidecar.store.reading import read

ORDER = [Action.TRIGGER, Action.UPDATE, Action.ACKNOWLEDGE, Action.RESOLVE]


def check(campaign: Campaign) -> None:
    """Assert everything."""
    with contextlib.closing(sqlite3.connect(campaign.database)) as db:
        incidents = [
            msgspec.msgpack.decode(data, type=Incident) for (data,) in db.execute("SELECT data FROM incidents")
        ]
        entries = [msgspec.msgpack.decode(data, type=Entry) for (data,) in db.execute("SELECT data FROM outbox")]
    counted_once(campaign)
    folded(campaign, entries)
    opened(campaign, incidents)
    delivered(campaign, incidents, entries)
    campaign.figures["records"] += campaign.story.records
    campaign.figures["incidents"] += len(incidents)
    campaign.figures["notifications"] += len(entries)


def counted_once(campaign: Campaign) -> None:
    """No record of a file was counted twice or lost; one that was posted only where its sender got no answer."""
    matched, story = campaign.matched(), campaign.story
    assert matched.keys() == story.written.keys() | story.posted.keys()
    assert {story.written[line] for line in story.written if matched[line] != 1} == set()
    for line, (_, batch) in story.posted.items():
        assert 1 <= matched[line] <= 1 + campaign.unanswered[batch], (batch, matched[line])
    campaign.figures["batches sent again"] += len(campaign.unanswered)
    campaign.figures["batches counted again"] += len(
        {batch for line, (_, batch) in story.posted.items() if matched[line] > 1}
    )


def folded(campaign: Campaign, entries: list[Entry]) -> None:
    """One engine that was never stopped, asked what was committed, is in the state that is stored."""
    loaded = load(Path(campaign.config), {})
    assert loaded.config is not None
    ruleset = ruleset_of(loaded.config)
    engine, intents = Engine(), []
    for name, args, answered in testimony(campaign.database):
        if name == "tick":
            args = (*args, lambda source, answered=answered: answered.get(source, False))
        elif name == "reconfigure":
            args = (ruleset.rules, ruleset.routing, ruleset.page_budget, *args, ruleset.silences)
        answer = getattr(engine, name)(*args)
        if name == "take_in":
            continue  # its effect is part of the next answer
        changes = answer[0] if isinstance(answer, tuple) else answer
        intents += changes.intents
    intents += engine.collect().intents
    with contextlib.closing(sqlite3.connect(campaign.database)) as db:
        stored = read(db).snapshot
    assert plain(engine.snapshot()) == plain(stored)
    facts = ("incident", "channel", "action", "high", "routing_key", "notes", "decided_at", "level")

    def of(one: Intent | Entry) -> tuple[Any, ...]:
        return tuple(getattr(one, name) for name in facts)

    # What a channel is told because another could not be is decided where it fails, and not by the engine alone.
    assert Counter(map(of, intents)) <= Counter(map(of, entries))


def plain(snapshot: Any) -> Any:
    return msgspec.to_builtins(snapshot, str_keys=False)


def opened(campaign: Campaign, incidents: list[Incident]) -> None:
    """The incidents are those of an undisturbed run."""
    story = campaign.story
    assert all(incident.resolved_at is not None for incident in incidents)
    found: Counter[tuple[Group, int, str]] = Counter()
    posts: defaultdict[Group, Course] = defaultdict(Course)
    for incident in incidents:
        service, name = (incident.fields[field] for field in ("service", "error_type"))
        if service in TAGS:
            posts[incident.rule, service, name].count += incident.count
        elif service != PAGED:
            found[(incident.rule, service, name), incident.count, incident.level.name.lower()] += 1
    expected = story.incidents()
    assert found == expected, {"too many": found - expected, "missing": expected - found}
    written = Counter(group for group, _ in story.posted.values())
    matched = Counter(dict.fromkeys(written, 0))
    for line, times in campaign.matched().items():
        if line in story.posted:
            matched[story.posted[line][0]] += times
    for group, times in matched.items():
        if group[0] != "Spike" or times >= THRESHOLD:
            assert posts[group].count == times, group


def delivered(campaign: Campaign, incidents: list[Incident], entries: list[Entry]) -> None:
    """Everybody heard of everything, in order, under one key."""
    assert campaign.pager.violations == campaign.chats.violations == []
    assert len({incident.dedup_key for incident in incidents}) == len(incidents)
    received = [one for stand_in in (campaign.pager, campaign.chats) for one in stand_in.received]
    accepted = {
        (one.service.value, one.action, one.key)
        for one in received
        if one.accepted and one.service in (Service.PAGERDUTY, Service.WEBHOOK)
    }
    paged = {one.dedup_key for one in incidents if one.fields["service"] == PAGED}
    for entry in entries:
        assert entry.settled_as in (SettledAs.DELIVERED, SettledAs.CANCELLED), entry
        if entry.channel in ("pagerduty", "webhook") and entry.settled_as is SettledAs.DELIVERED:
            assert (entry.channel, entry.action.value, key_of(entry)) in accepted, entry
    lanes: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        lanes[entry.incident, entry.channel].append(entry)
    for incident in incidents:
        assert incident.told, incident
        for channel in incident.told:
            actions = {entry.action for entry in lanes[incident.id, channel]}
            assert Action.TRIGGER in actions
            assert Action.RESOLVE in actions or channel in incident.known_over, (channel, incident)
    assert {key.removesuffix(":high") for _, _, key in accepted} <= {incident.dedup_key for incident in incidents}
    heard: defaultdict[tuple[Service, str], list[Received]] = defaultdict(list)
    for one in received:
        if one.action and one.service in (Service.PAGERDUTY, Service.WEBHOOK):
            heard[one.service, one.key].append(one)
    for (_, key), told in heard.items():
        if key.removesuffix(":high") not in paged:
            places = [ORDER.index(Action(one.action)) for one in told if one.action != "update"]
            assert places == sorted(places), [(one.action, one.status) for one in told]
    # What a person reopens there of an incident whose group has a newer one is theirs.
    over = last_ends(campaign)
    still = [
        alert.dedup_key
        for alert in campaign.pager.pagerduty.open_alerts()
        if campaign.reopened.get(alert.dedup_key, 0) < over[alert.dedup_key.removesuffix(":high")]
    ]
    assert still == [], f"alerts that nobody closed: {still}"
    campaign.figures["requests received"] += len(received)
    campaign.figures["alerts of their own for a rise"] += sum(
        alert.dedup_key.endswith(":high") for alert in campaign.pager.pagerduty.alerts
    )


def key_of(entry: Entry) -> str:
    """Return the key that a channel shows for a notification."""
    return entry.dedup_key + (":high" if entry.high else "")


def last_ends(campaign: Campaign) -> dict[str, int]:
    """Return by key when each incident was last closed, wall clock."""
    with contextlib.closing(sqlite3.connect(campaign.database)) as db:
        rows = db.execute("SELECT i.data, t.data FROM incidents i JOIN timeline t ON t.incident = i.id").fetchall()
    ends: dict[str, int] = {}
    for incident, data in rows:
        moment = msgspec.msgpack.decode(data, type=Moment)
        if moment.what is What.RESOLVED:
            key = msgspec.msgpack.decode(incident, type=Incident).dedup_key
            ends[key] = max(ends.get(key, 0), moment.at)
    return ends
