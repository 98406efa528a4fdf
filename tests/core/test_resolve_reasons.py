"""Which of several policies closes an incident, and what people are told about it."""

from __future__ import annotations

from typing import Any

import pytest
from oracle_kit import Bench, a_match, a_rule, ends

from sidecar.core.conditions import Exists
from sidecar.core.incidents import MAX_CLEARING_CHARACTERS
from sidecar.core.people import Act, Word
from sidecar.core.rule import ResolvePolicy
from sidecar.core.texts import reason_text
from sidecar.core.times import DAY, HOUR, MINUTE

ALIVE = "no match for 11 minutes while the source kept logging"
SILENT = "no match for 11 minutes while the source was silent"
DEAD = "nothing at all from the source for 24 hours"


def bench(*, followed: bool = True, **policy: Any) -> Bench:
    """An incident of a rule with several policies, whose source has gone on since or not."""
    made = Bench(a_rule(resolve=ResolvePolicy(**{"when": Exists("recovered"), **policy})))
    made.read(a_match(0, followed=followed))
    return made


def why(made: Bench) -> list[str | None]:
    return [reason_text(incident) for incident in made.closed()]


def cleared(line: str = "up again", **sample: Any) -> Any:
    return a_match(5 * MINUTE, clearing=True, line=line, **sample)


@pytest.mark.parametrize(
    ("followed", "even_if_silent", "clears", "reason", "words"),
    [
        (True, False, False, "quiet", ALIVE),
        (True, True, False, "quiet", ALIVE),
        (False, True, False, "quiet", SILENT),
        (False, False, False, "stale", DEAD),
        (True, False, True, "cleared", "a record said that it is over: up again"),
        (False, True, True, "cleared", "a record said that it is over: up again"),
    ],
)
def test_whichever_policy_comes_first_closes_and_says_so(
    followed: bool, even_if_silent: bool, clears: bool, reason: str, words: str
) -> None:
    made = bench(followed=followed, even_if_silent=even_if_silent)
    reasons = [
        *(ends(made.read(cleared(), source="B")) if clears else ()),
        *ends(made.wait(HOUR)),
        *ends(made.wait(2 * DAY)),
    ]
    assert (reasons, why(made)) == ([reason], [words])


def test_a_quiet_incident_whose_source_comes_back_was_closed_by_its_quiet_and_not_by_silence() -> None:
    made = bench(followed=False)
    made.wait(HOUR)
    made.read(clock=2 * HOUR)
    assert why(made) == [ALIVE]


def test_what_was_opened_before_a_restart_closes_with_the_same_words() -> None:
    made = bench(followed=False, even_if_silent=True)
    made.restart(a_rule(resolve=ResolvePolicy(even_if_silent=True)))
    made.wait(HOUR)
    assert why(made) == [SILENT]


@pytest.mark.parametrize(
    ("sample", "shown"),
    [
        ({"line": "12:00 INFO up\r\n\tagain"}, "12:00 INFO up again"),
        ({"line": "", "message": "only a message"}, "only a message"),
        ({"line": "up password=hunter2 again"}, "up password=[redacted] again"),
        ({"line": "x" * 1000}, "x" * (MAX_CLEARING_CHARACTERS - 1) + "…"),
        ({"line": "x" * (MAX_CLEARING_CHARACTERS - 12) + " password=hunter2"}, None),
        ({"line": "", "message": ""}, ""),
    ],
)
def test_the_clearing_line_is_shown_on_one_line_redacted_and_cut(sample: dict[str, str], shown: str | None) -> None:
    made = bench()
    made.read(cleared(**sample))
    (text,) = why(made)
    assert text is not None
    assert "hunter" not in text
    assert len(text) <= MAX_CLEARING_CHARACTERS + 40
    if shown is not None:
        assert text == f"a record said that it is over{': ' if shown else ''}{shown}"


def test_the_line_is_in_the_timeline_and_forgotten_when_a_person_reopens() -> None:
    made = bench()
    changes = made.read(cleared())
    assert [moment.text for _, moment in changes.timeline] == ["a record said that it is over: up again"]
    (incident,) = made.closed()
    made.engine.say(incident, Word(act=Act.REOPEN), made_at := incident.decided_at + HOUR)
    made.engine.say(made.incident, Word(act=Act.RESOLVE, by="Ann"), made_at + HOUR)
    assert (incident.cleared_by, reason_text(incident)) == ("", "by Ann")


def test_every_incident_that_a_record_clears_names_that_record() -> None:
    made = Bench(a_rule(resolve=ResolvePolicy(when=Exists("recovered"))))
    made.read(a_match(0, "E"), a_match(1, "F"))
    made.read(a_match(MINUTE, "(none)", clearing=True, line="all is well"))
    assert why(made) == ["a record said that it is over: all is well"] * 2
