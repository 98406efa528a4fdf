"""How an escalation goes on: its steps, their times and their names."""

from __future__ import annotations

from sidecar.core.incidents import Escalation
from sidecar.core.rule import EscalationPolicy


def begun(escalation: Escalation, now: int, *, acknowledged: bool = False) -> Escalation:
    """Return an escalation whose first level has just been told."""
    due = after(escalation.policy, 0, now)
    if acknowledged:
        return Escalation(policy=escalation.policy, step=1, left=None if due is None else due - now)
    return Escalation(policy=escalation.policy, step=1, due=due)


def after(policy: EscalationPolicy, step: int, at: int) -> int | None:
    """Return when the step after one that was due at `at` is due; None: there is none."""
    respond_within = policy.level(step).respond_within
    return None if step + 1 >= policy.steps or respond_within is None else at + respond_within


def step_text(policy: EscalationPolicy, step: int) -> str:
    """Name a step: `Escalation level 2, Secondary Eng`."""
    level, turn = step % len(policy.levels), step // len(policy.levels)
    again = f", turn {turn + 1}" if turn else ""
    return f"Escalation level {level + 1}, {policy.levels[level].name}{again}"
