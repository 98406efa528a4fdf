"""An incident's story holds everything that happened, in order, and says the same thing once."""

from __future__ import annotations

from api_kit import EPOCH
from hypothesis import given
from hypothesis import strategies as st
from incident_kit import an_incident, entry, moments_of

from sidecar.core.decisions import SettledAs
from sidecar.core.notification import Action
from sidecar.core.texts import rfc3339
from sidecar.core.times import MINUTE, SECOND
from sidecar.telemetry.story import Durations, durations_of, timeline_of


def test_the_story_has_every_step_with_its_latency_its_answer_and_its_reason() -> None:
    sent = [
        entry(EPOCH + SECOND, text="202 accepted", attempts=3, notes=("3 h old",)),
        entry(EPOCH + SECOND, channel="pd", settled_as=None, settled_at=None, text="503", attempts=1),
    ]
    story = timeline_of(an_incident(), moments_of("hm"), sent)
    assert [(one.what, one.by, one.channel, one.text) for one in story] == [
        ("first match", "", "", ""),
        ("opened", "", "", "fatal, 10 matches within 5 minutes"),
        ("suppressed", "", "pd, slack", "silenced"),
        ("trigger", "", "pd", "waiting, 503"),
        ("trigger", "", "slack", "delivered, 3 attempts, 3 h old, after 2.0 s, 202 accepted"),
        ("acknowledged", "hm", "", "hm, via PagerDuty"),
        ("last match", "", "", "15 occurrences"),
        ("resolved", "hm", "", "hm"),
    ]


def test_a_day_of_reminders_to_two_channels_is_two_lines() -> None:
    times = range(EPOCH + 5 * MINUTE, EPOCH + 24 * 60 * MINUTE, 5 * MINUTE)
    sent = [
        entry(at, Action.UPDATE, channel=channel, settled_at=at + long * SECOND)
        for at in times
        for channel, long in (("slack", 1), ("discord", 1 + at // MINUTE % 2))
    ]
    story = timeline_of(an_incident(last_seen=EPOCH), [], sent)[1:]
    assert [(one.channel, one.text, one.times) for one in story] == [
        ("slack", "delivered, after 1.0 s, ok", len(times)),
        ("discord", "delivered, after 1.0 to 2.0 s, ok", len(times)),
    ]
    assert story[0].until == rfc3339(times[-1] + SECOND)


sends = st.builds(
    entry,
    st.integers(EPOCH, EPOCH + 10 * SECOND),
    st.sampled_from(Action),
    st.sampled_from(["ok", "no"]),
    channel=st.sampled_from(["a", "b"]),
)


@given(st.lists(sends, max_size=20))
def test_putting_lines_together_loses_none_and_keeps_the_order(sent: list) -> None:
    story = timeline_of(an_incident(last_seen=EPOCH), [], sent)[1:]
    assert sum(one.times for one in story) == len(sent)
    said = {(one.what, one.channel, one.text.rpartition(", ")[2]) for one in story}
    assert said == {(one.action.value, one.channel, one.detail) for one in sent}
    assert [one.at for one in story] == sorted(one.at for one in story)
    assert all((one.until > one.at) or one.until == one.at or one.times == 1 for one in story)


def test_an_incident_s_times_run_from_its_first_match_as_those_of_the_metrics_do() -> None:
    sent = [
        entry(EPOCH + 9 * SECOND),
        entry(EPOCH + SECOND, channel="pd", first_seen=EPOCH + SECOND),
        entry(EPOCH, settled_as=SettledAs.FAILED),
    ]
    assert durations_of(an_incident(), sent) == Durations(
        detect_seconds=2.0, acknowledge_seconds=300.0, resolve_seconds=3600.0
    )
    assert durations_of(an_incident(acknowledged_at=None, resolved_at=None), []) == Durations()
