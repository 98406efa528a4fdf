"""What the daemon finds wrong with itself, when it is worth telling, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import selfwatch
from sidecar.core.daemon import Ailment, Trouble, ailment_of, incident_of
from sidecar.core.incidents import Incident, State
from sidecar.core.notification import Action
from sidecar.core.selfwatch import ChannelVitals, InputVitals, News, SelfWatch, Vitals
from sidecar.core.times import SECOND

EPOCH = 1_800_000_000 * SECOND
STALLED = (Trouble.INPUT_STALLED, "app")
STUCK = (Trouble.OUTBOX_STUCK, "slack")
BLOCKED = (Trouble.LOOP_BLOCKED, "")
UNWRITABLE = (Trouble.STATE_UNWRITABLE, "")
FINE = Vitals()


class Life:
    """One daemon that is looked at each second."""

    def __init__(self, *open_before: Incident) -> None:
        self.watch = SelfWatch("host", open_before)
        self.at = 0.0
        self.news: list[News] = []
        self.watch.look(FINE, now=EPOCH, at=0.0)

    def passes(self, seconds: float, vitals: Vitals = FINE, step: float = 1.0) -> list[tuple[Action, Ailment]]:
        """Let time pass in which the daemon looks the same; return what was told."""
        found = []
        end = self.at + seconds
        while self.at < end:
            self.at += step
            found += self.watch.look(vitals, now=EPOCH + round(self.at * SECOND), at=self.at)
        self.news += found
        return [(one.action, one.ailment) for one in found]


def an_input(trouble: str = "", unread: int = 0, read: int = 0) -> Vitals:
    return Vitals(inputs={"app": InputVitals(trouble, unread, read)})


def channels(**seen: tuple[int, int, str]) -> Vitals:
    return Vitals(channels={name: ChannelVitals(*one) for name, one in seen.items()})


def test_nothing_is_told_of_a_daemon_that_is_well() -> None:
    busy = Vitals(inputs={"app": InputVitals("", 0, 7)}, channels={"slack": ChannelVitals(0, 7, "")})
    assert Life().passes(3600, busy) == []


def test_an_input_that_cannot_read_is_told_after_two_minutes_and_is_over_a_minute_after_it_can() -> None:
    life = Life()
    assert life.passes(119, an_input("no such directory")) == []
    assert life.passes(2, an_input("no such directory")) == [(Action.TRIGGER, STALLED)]
    assert life.watch.ailing == {STALLED: "no such directory"}
    assert life.passes(59) == []
    assert life.passes(2) == [(Action.RESOLVE, STALLED)]
    assert life.watch.ailing == {}
    opened, closed = life.news
    assert opened.incident is closed.incident
    assert closed.incident.state is State.RESOLVED
    assert closed.incident.fields == {"input": "app"}
    assert opened.incident.opened_at == EPOCH + 1 * SECOND


def test_an_input_that_crashes_again_whenever_it_is_started_is_one_trouble() -> None:
    life = Life()
    told = []
    for _ in range(20):
        told += life.passes(50, an_input("crashed: KeyError")) + life.passes(10, an_input())
    assert told == [(Action.TRIGGER, STALLED)]


def test_an_input_that_reads_nothing_although_there_is_more_is_told_after_five_minutes() -> None:
    life = Life()
    assert life.passes(299, an_input(unread=9, read=5)) == []
    assert life.passes(3, an_input(unread=9, read=5)) == [(Action.TRIGGER, STALLED)]
    assert "9 bytes wait" in life.news[-1].incident.message
    assert life.passes(62, an_input(unread=0, read=14)) == [(Action.RESOLVE, STALLED)]


def test_an_input_that_falls_behind_and_still_reads_has_no_trouble() -> None:
    life = Life()
    for read in range(100):
        assert life.passes(60, an_input(unread=10**9, read=read)) == []


def test_inputs_that_are_held_back_for_the_store_have_no_trouble_of_their_own() -> None:
    held = Vitals(store_failing=True, unwritable="disk full", inputs={"app": InputVitals("", 9, 5)})
    assert Life().passes(3600, held) == [(Action.TRIGGER, UNWRITABLE)]


def test_a_channel_that_accepts_nothing_for_ten_minutes_is_told_to_the_others_until_it_accepts() -> None:
    life = Life()
    broken = channels(slack=(3, 0, "answered 503"), discord=(1, 0, ""), other=(2, 0, "timed out"))
    assert life.passes(599, broken) == []
    # `discord` and `other` do no better, but only what has failed is known not to tell anybody.
    assert life.passes(2, broken) == [
        (Action.TRIGGER, (Trouble.OUTBOX_STUCK, n)) for n in ("slack", "discord", "other")
    ]
    assert life.news[0].avoid == ("slack", "other")
    assert "answered 503" in life.news[0].incident.message
    assert life.passes(1, channels(slack=(2, 1, ""), discord=(1, 0, ""), other=(2, 0, ""))) == [(Action.RESOLVE, STUCK)]


def test_a_channel_that_works_off_a_backlog_slowly_is_not_stuck() -> None:
    life = Life()
    for delivered in range(100):
        assert life.passes(60, channels(slack=(1000 - delivered, delivered, ""))) == []


def test_a_loop_that_stood_still_is_told_once_and_over_ten_minutes_after_the_last_time() -> None:
    life = Life()
    assert life.passes(1, Vitals(stood_still_seconds=9.9)) == []
    assert life.passes(1, Vitals(stood_still_seconds=42)) == [(Action.TRIGGER, BLOCKED)]
    assert "for 42 seconds" in life.news[0].incident.message
    assert life.news[0].incident.opened_at == EPOCH + (2 - 42) * SECOND
    assert life.passes(300) == []
    assert life.passes(1, Vitals(stood_still_seconds=11)) == []
    assert life.passes(599) == []
    assert life.passes(2) == [(Action.RESOLVE, BLOCKED)]


def test_state_that_cannot_be_written_is_told_at_once_and_again_no_sooner_than_after_ten_minutes() -> None:
    life = Life()
    bad = Vitals(unwritable="disk full", store_failing=True)
    assert life.passes(1, bad) == [(Action.TRIGGER, UNWRITABLE)]
    assert life.passes(1) == [(Action.RESOLVE, UNWRITABLE)]
    assert life.passes(500, bad) == []
    assert life.passes(100, bad) == [(Action.TRIGGER, UNWRITABLE)]
    assert life.news[0].incident.id != life.news[2].incident.id


@pytest.mark.parametrize("gap", [3600.0, -3600.0])
def test_time_in_which_the_daemon_did_not_run_counts_for_nothing(gap: float) -> None:
    """Stopped by a signal, or suspended with its machine: nobody could have done better meanwhile."""
    life = Life()
    waiting = Vitals(inputs={"app": InputVitals("", 9, 5)}, channels={"slack": ChannelVitals(1, 0, "")})
    life.passes(60, waiting)
    life.at += gap
    assert life.passes(200, waiting) == []


@pytest.mark.parametrize("ailment", [STALLED, STUCK, BLOCKED, UNWRITABLE])
def test_what_was_open_when_the_daemon_ended_goes_on_while_it_lasts_and_closes_when_it_is_over(
    ailment: Ailment,
) -> None:
    lasting: Mapping[Trouble, Vitals] = {
        Trouble.INPUT_STALLED: an_input(unread=9),
        Trouble.OUTBOX_STUCK: channels(slack=(1, 0, "")),
        Trouble.LOOP_BLOCKED: Vitals(stood_still_seconds=20),
        Trouble.STATE_UNWRITABLE: Vitals(unwritable="disk full", store_failing=True),
    }
    before = incident_of(ailment, "it broke", since=EPOCH - SECOND, now=EPOCH, host="host")
    life = Life()
    life.watch = SelfWatch("host", [before])
    assert life.passes(400, lasting[ailment[0]]) == []
    assert life.passes(601, Vitals(channels={"slack": ChannelVitals(0, 0, "")})) == [(Action.RESOLVE, ailment)]
    assert life.news[0].incident is before


def test_of_two_left_open_about_the_same_the_earlier_closes_at_once() -> None:
    left = [incident_of(UNWRITABLE, "full", since=EPOCH + n, now=EPOCH, host="h") for n in range(3)]
    watch = SelfWatch("h", left)
    bad = Vitals(unwritable="disk full", store_failing=True)
    news = watch.look(bad, now=EPOCH, at=0.0)
    assert [(one.action, one.incident) for one in news] == [(Action.RESOLVE, one) for one in left[:2]]
    assert left[2].is_open


def test_an_incident_says_what_it_is_about_in_its_parts() -> None:
    for ailment in (STALLED, STUCK, BLOCKED, UNWRITABLE):
        assert ailment_of(incident_of(ailment, "x", since=1, now=2, host="h")) == ailment


def test_parts_with_the_same_trouble_at_the_same_moment_are_told_under_different_keys() -> None:
    ailments = [STALLED, (Trouble.INPUT_STALLED, "slack"), STUCK, BLOCKED, UNWRITABLE]
    found = {incident_of(one, "x", since=1, now=1, host="h").dedup_key for one in ailments}
    assert len(found) == len(ailments)


seen = st.builds(
    lambda trouble, unread, read, waiting, delivered, unwritable, still: Vitals(
        unwritable=unwritable,
        store_failing=bool(unwritable),
        inputs={"app": InputVitals(trouble, unread, read)},
        channels={"slack": ChannelVitals(waiting, delivered, "")},
        stood_still_seconds=still,
    ),
    st.sampled_from(["", "no"]), st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), st.integers(0, 1),
    st.sampled_from(["", "full"]), st.sampled_from([0.0, 20.0]),
)  # fmt: skip


@given(st.lists(st.tuples(seen, st.integers(1, 900)), max_size=8))
def test_each_trouble_opens_and_closes_in_turn_and_never_outlives_a_daemon_that_is_well(
    lives: list[tuple[Vitals, int]],
) -> None:
    life = Life()
    for vitals, seconds in lives:
        life.passes(seconds, vitals, step=5.0)
    life.passes(selfwatch.SETTLED_AFTER[Trouble.LOOP_BLOCKED] + 10, step=5.0)
    assert life.watch.ailing == {}
    for ailment in (STALLED, STUCK, BLOCKED, UNWRITABLE):
        actions = [one.action for one in life.news if one.ailment == ailment]
        assert actions == [Action.TRIGGER, Action.RESOLVE] * (len(actions) // 2)
    opened = [one for one in life.news if one.action is Action.TRIGGER]
    assert len({one.incident.id for one in opened}) == len(opened)
