"""What happens to a notification next, as a function of its lane and of the answer it got."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decisions import SettledAs
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outbox import (
    LONGEST_RETRY,
    REFUSED_RETRY,
    SHORTEST_RETRY,
    Entry,
    Progress,
    after,
    backoff,
    plan,
    wait_of,
)
from sidecar.core.outcome import Outcome, Result
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

NUMBERS = count(1)


def entry(action: Action = Action.TRIGGER, *, pager: bool = True, **changes: object) -> Entry:
    fields: dict[str, object] = {
        "id": next(NUMBERS),
        "incident": "i",
        "dedup_key": "luminalog-i",
        "rule": "r",
        "level": Level.FATAL,
        "channel": "pagerduty",
        "pager": pager,
        "routing_key": None,
        "action": action,
        "decided_at": 0,
        "first_seen": 0,
    }
    return Entry(**{**fields, **changes})  # type: ignore[arg-type]


def settled(action: Action, settled_as: SettledAs, **changes: object) -> Entry:
    return entry(action, progress=Progress.SETTLED, settled_as=settled_as, settled_at=0, **changes)


def test_a_resolve_waits_behind_its_trigger() -> None:
    trigger, resolve = entry(maybe_received=True), entry(Action.RESOLVE)
    assert plan([trigger, resolve]).send is trigger


def test_a_resolve_follows_an_accepted_trigger() -> None:
    resolve = entry(Action.RESOLVE)
    assert plan([settled(Action.TRIGGER, SettledAs.DELIVERED), resolve]).send is resolve


def test_a_resolve_is_cancelled_behind_a_failed_trigger() -> None:
    resolve = entry(Action.RESOLVE)
    assert plan([settled(Action.TRIGGER, SettledAs.FAILED), resolve]).cancel == (resolve,)


def test_a_page_that_certainly_was_not_received_is_cancelled_once_its_incident_resolved() -> None:
    trigger, resolve = entry(attempts=3), entry(Action.RESOLVE)
    decision = plan([trigger, resolve])
    assert decision.cancel == (trigger, resolve)
    assert decision.unheard


@pytest.mark.parametrize("high", [False, True])
def test_an_alert_is_resolved_although_its_second_trigger_was_never_received(high: bool) -> None:
    """Escalation triggers again what PagerDuty has already."""
    again, resolve = entry(high=high), entry(Action.RESOLVE, high=high)
    lane = [settled(Action.TRIGGER, SettledAs.DELIVERED, high=high), again, resolve]
    assert plan(lane).cancel == (again,)
    again.progress, again.settled_as = Progress.SETTLED, SettledAs.CANCELLED
    assert plan(lane).send is resolve


def test_triggers_that_were_never_received_are_cancelled_together() -> None:
    """The second would open an alert that nothing resolves."""
    first, again, resolve = entry(), entry(), entry(Action.RESOLVE)
    assert plan([first, again, resolve]).cancel == (first, again, resolve)


def test_an_alert_that_was_resolved_before_needs_no_resolve_for_a_trigger_that_was_never_received() -> None:
    before = [settled(Action.TRIGGER, SettledAs.DELIVERED), settled(Action.RESOLVE, SettledAs.DELIVERED)]
    reopened, resolve = entry(), entry(Action.RESOLVE)
    assert plan([*before, reopened, resolve]).cancel == (reopened, resolve)


def test_a_page_that_may_have_been_received_is_repeated_although_its_incident_resolved() -> None:
    trigger = entry(maybe_received=True)
    assert plan([trigger, entry(Action.RESOLVE)]).send is trigger


@pytest.mark.parametrize("maybe_received", [False, True])
def test_nothing_more_is_sent_where_a_person_has_closed_the_incident(maybe_received: bool) -> None:
    """PagerDuty would open an alert anew for a trigger that it may have had already."""
    trigger = entry(attempts=1, maybe_received=maybe_received)
    lane = [settled(Action.TRIGGER, SettledAs.DELIVERED), trigger, entry(Action.ACKNOWLEDGE)]
    decision = plan(lane, known_over=True)
    assert (decision.send, decision.cancel, decision.unheard) == (None, tuple(lane[1:]), False)


def test_chat_still_hears_of_an_incident_that_resolved_before_its_turn() -> None:
    trigger = entry(pager=False)
    assert plan([trigger, entry(Action.RESOLVE, pager=False)]).send is trigger


def test_cancelling_the_second_alert_is_not_told_as_unreachable() -> None:
    high, resolve = entry(high=True), entry(Action.RESOLVE)
    high_resolve = entry(Action.RESOLVE, high=True)
    decision = plan([settled(Action.TRIGGER, SettledAs.DELIVERED), high, resolve, high_resolve])
    assert decision.cancel == (high, high_resolve)
    assert not decision.unheard


def test_both_alerts_of_one_incident_are_told_as_unheard_once() -> None:
    low, high = entry(), entry(high=True)
    resolves = [entry(Action.RESOLVE), entry(Action.RESOLVE, high=True)]
    assert plan([low, high, *resolves]).unheard
    low_cancelled = [settled(Action.TRIGGER, SettledAs.CANCELLED), high, resolves[1]]
    assert not plan(low_cancelled).unheard


def test_a_resolve_follows_a_trigger_that_was_given_up_but_may_have_arrived() -> None:
    resolve = entry(Action.RESOLVE)
    assert plan([settled(Action.TRIGGER, SettledAs.FAILED, maybe_received=True), resolve]).send is resolve


def test_of_waiting_updates_only_the_last_is_sent_and_those_that_say_something() -> None:
    first, noted, last = entry(Action.UPDATE), entry(Action.UPDATE, notes=("page refused",)), entry(Action.UPDATE)
    assert plan([first, noted, last]).cancel == (first,)
    assert plan([noted, last]).send is noted
    assert plan([last]).send is last
    assert plan([last, entry(Action.RESOLVE)]).cancel == (last,)


def test_an_update_needs_no_trigger_of_its_own() -> None:
    update = entry(Action.UPDATE, pager=False)
    assert plan([update]).send is update


def test_an_empty_or_settled_lane_has_nothing_to_do() -> None:
    assert plan([settled(Action.TRIGGER, SettledAs.DELIVERED)]).send is None


def next_after(outcome: Outcome, *, now: int = 0, jitter: float = 0.5, **changes: object):  # type: ignore[no-untyped-def]
    return after(entry(**{"attempts": 1, **changes}), outcome, now=now, give_up_after=DAY, jitter=jitter)


def test_acceptance_settles() -> None:
    assert next_after(Outcome(result=Result.ACCEPTED)).settled_as is SettledAs.DELIVERED


def test_a_final_refusal_settles_as_failed_and_tells_others() -> None:
    step = next_after(Outcome(result=Result.REJECTED, permanent=True))
    assert (step.settled_as, step.fall_back) == (SettledAs.FAILED, True)


def test_a_refused_page_is_retried_after_five_minutes_and_others_are_told_once() -> None:
    first = next_after(Outcome(result=Result.REJECTED))
    again = next_after(Outcome(result=Result.REJECTED), fell_back=True)
    assert (first.retry_at, first.fall_back) == (REFUSED_RETRY, True)
    assert (again.retry_at, again.fall_back) == (REFUSED_RETRY, False)


def test_a_refused_chat_message_is_an_ordinary_retry() -> None:
    step = next_after(Outcome(result=Result.REJECTED), pager=False)
    assert step.retry_at == SECOND
    assert not step.fall_back


def test_retry_after_is_waited_for_and_holds_back_everything_under_the_same_limit() -> None:
    step = next_after(Outcome(result=Result.RATE_LIMITED, retry_after=30))
    assert (step.retry_at, step.pause_until) == (30 * SECOND, 30 * SECOND)


def test_an_absurd_retry_after_is_capped() -> None:
    assert next_after(Outcome(result=Result.RATE_LIMITED, retry_after=1e9)).retry_at == HOUR


def test_a_page_is_given_up_after_its_time_and_not_before() -> None:
    failed = Outcome(result=Result.SERVER_ERROR)
    before = next_after(failed, now=DAY - 1, attempts=1000)
    at_last = next_after(failed, now=DAY, attempts=1000)
    assert before.settled_as is None
    assert before.retry_at == DAY
    assert (at_last.settled_as, at_last.gave_up, at_last.fall_back) == (SettledAs.FAILED, True, True)


def test_a_page_that_looks_old_is_still_tried_more_than_once() -> None:
    step = next_after(Outcome(result=Result.SERVER_ERROR), now=30 * DAY)
    assert (step.settled_as, step.retry_at) == (None, 30 * DAY + SECOND)


def test_a_clock_set_back_gives_nothing_up_and_waits_no_longer() -> None:
    step = next_after(Outcome(result=Result.SERVER_ERROR), now=-30 * DAY)
    assert (step.settled_as, step.retry_at) == (None, -30 * DAY + SECOND)


@pytest.mark.parametrize(("not_before", "wait"), [(0, 0), (-MINUTE, 0), (MINUTE, MINUTE), (DAY, 0)])
def test_after_a_restart_only_what_the_service_may_have_asked_for_is_waited_for(not_before: int, wait: int) -> None:
    assert wait_of(entry(not_before=HOUR + not_before), HOUR) == wait


def test_rate_limiting_without_a_time_holds_everything_back_for_the_ordinary_wait() -> None:
    step = next_after(Outcome(result=Result.RATE_LIMITED))
    assert (step.pause_until, step.not_before) == (SECOND, 0)


def test_a_message_that_is_gone_is_rendered_again_at_once() -> None:
    step = next_after(Outcome(result=Result.REJECTED, missing=True), now=7)
    assert (step.render_again, step.retry_at) == (True, 7)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_within_its_doubling_span(attempts: int, jitter: float) -> None:
    span = min(SECOND * 2 ** min(attempts, 20), LONGEST_RETRY)
    assert SHORTEST_RETRY <= backoff(attempts, jitter) <= max(span, SHORTEST_RETRY)
    assert LONGEST_RETRY == MINUTE
