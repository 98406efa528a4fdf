"""Any order and any repetition of webhooks, matches, passing time and restarts ends where it ought to.

The expectation is written by itself: one line for each act, over a dictionary of states.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from webhook_world import ANN, OURS, World, body, page_of

from sidecar.core.incidents import Incident
from sidecar.webhooks.inbox import Taken


class Error(NamedTuple):
    service: str


class Passes(NamedTuple):
    minutes: int


class Restart(NamedTuple):
    pass


class Webhook(NamedTuple):
    kind: str
    which: int
    agent: int
    crash: bool
    """Killed between answer and work."""


class Repeat(NamedTuple):
    which: int
    crash: bool


AGENTS = (ANN, None, OURS)
KINDS = ["acknowledged", "unacknowledged", "resolved", "resolved", "reopened", "annotated", "merged"]
steps = st.one_of(
    st.builds(Error, st.sampled_from(["a", "a", "b"])),
    st.builds(Passes, st.sampled_from([0, 1, 6, 15])),
    st.builds(Restart),
    *[st.builds(Webhook, st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 2), st.booleans())] * 3,
    st.builds(Repeat, st.integers(0, 9), st.booleans()),
)


class Expected:
    """What ought to be: every incident's state, and what its timeline holds."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.groups: dict[str, tuple[str, ...]] = {}
        self.remarks: Counter[str] = Counter()

    def follow(self, world: World) -> None:
        """Matches and time open and close incidents by themselves: tests of their own say when."""
        held = {one.id: one for one in world.open}
        for name, one in held.items():
            self.states.setdefault(name, "open")
            self.groups[name] = one.group
        for name in self.states.keys() - held.keys():
            self.states[name] = "resolved"

    def webhook(self, name: str, kind: str, *, ours: bool) -> None:
        state = self.states[name]
        taken = any(self.groups[other] == self.groups[name] and its != "resolved"
                    for other, its in self.states.items() if other != name)  # fmt: skip
        if kind == "merged":
            self.remarks[name] += 1
        elif ours:
            return
        elif kind == "annotated":
            self.remarks[name] += 1
        elif kind == "acknowledged" and state == "open":
            self.states[name] = "acknowledged"
        elif kind == "unacknowledged" and state == "acknowledged":
            self.states[name] = "open"
        elif kind == "resolved":
            self.states[name] = "resolved"
        elif kind == "reopened" and state == "resolved" and not taken:
            self.states[name] = "open"


def delivered(step: Webhook, incident: Incident) -> bytes:
    """Return the body of a step's webhook. PagerDuty's id is made of ours, and our page is always given."""
    kind, more = step.kind, {}
    if kind == "merged":
        kind, more = "resolved", {"resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "QX"}}}
    return body(kind, incident=f"Q{incident.id[:20]}", url=page_of(incident), agent=AGENTS[step.agent], **more)


async def run(sequence: list[NamedTuple]) -> None:
    world, expected = World(), Expected()
    seen: dict[str, Incident] = {}
    sent: list[tuple[str, bytes]] = []
    for step in sequence:
        match step:
            case Error(service):
                await world.error(service)
            case Passes(minutes):
                await world.passes(minutes)
            case Restart():
                await world.restart()
            case Webhook() if seen:
                incident = list(seen.values())[step.which % len(seen)]
                data = delivered(step, incident)
                sent.append((f"W-{len(sent)}", data))
                assert await world.takes(data, sent[-1][0]) is Taken.NEW
                if step.crash:
                    await world.restart()
                await world.work()
                expected.webhook(incident.id, step.kind, ours=AGENTS[step.agent] is OURS)
            case Repeat(which, crash) if sent:
                name, data = sent[which % len(sent)]
                assert await world.takes(data, name) is Taken.REPEATED
                if crash:
                    await world.restart()
                await world.work()
        seen |= {one.id: one for one in world.open}
        if not isinstance(step, Webhook | Repeat):
            expected.follow(world)
        held = {one.id: one.state.value for one in world.open}
        assert held == {name: state for name, state in expected.states.items() if state != "resolved"}
        assert {one.id: world.state(one) for one in seen.values()} == expected.states
        groups = Counter(one.group for one in world.open)
        assert max(groups.values(), default=1) == 1
        for name, one in seen.items():
            remarks = [what for what, _, _ in world.timeline(one) if what in ("note", "merged")]
            assert len(remarks) == expected.remarks[name]
    assert world.waiting() == []
    await world.stop()
    world.store.db.close()


@given(st.lists(steps, max_size=14))
@settings(max_examples=60)
def test_every_sequence_ends_as_expected(sequence: list[NamedTuple]) -> None:
    """Never two open incidents for one group; our own echoes never resolve; nothing is lost or done twice."""
    asyncio.run(run(sequence))
