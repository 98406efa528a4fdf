"""What a configuration asks to be hidden is hidden wherever the usual secrets are, and counted with them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_kit import ROUTING, START, Bench, a_match, a_rule

from sidecar.core.notification import Action
from sidecar.core.patterns import PatternError
from sidecar.core.people import Act, Word
from sidecar.core.quarantine import Quarantine, sample_of
from sidecar.core.redact import redact, redact_count
from sidecar.core.redact_own import own_step
from sidecar.core.texts import compose
from sidecar.core.times import MINUTE

ACCOUNT = "ACC-4711"
OWN = own_step(("ACC-[0-9]+",))
HIDDEN = "[redacted]"


@pytest.mark.parametrize(
    ("patterns", "line", "shown", "count"),
    [
        (("ACC-[0-9]+",), "ACC-1 and ACC-22.", "[redacted] and [redacted].", 2),
        (("ACC-[0-9]+", "(?i)customer: [a-z ]+"), "ACC-1 Customer: Ann Lee, x", "[redacted] [redacted], x", 2),
        (("ACC-[0-9]+",), "ACC-1 password=hunter2 bob@example.com", "[redacted] password=[redacted] [redacted]", 3),
        ((r"acct \w+ for \S+",), "acct x1 for bob@example.com", "[redacted]", 1),
        (("[0-9]",), "4711 x", "[redacted] x", 1),
        (("[a-z]+",), "a [redacted] b", "[redacted] [redacted] [redacted]", 2),
        (("Ü.",), "xÜé ü", "x[redacted] ü", 1),
        ((r"\bACC",), "ACC ACC", "[redacted] [redacted]", 2),
        (("ACC-[0-9]+",), "\x1b[31mACC-\x1b[1m12\x1b[0m", "[redacted]", 1),
        ((), "ACC-1", "ACC-1", 0),
    ],
)
def test_what_the_patterns_find_is_hidden_besides_the_usual(
    patterns: tuple[str, ...], line: str, shown: str, count: int
) -> None:
    assert redact_count(line, own_step(patterns)) == (shown, count)


PATTERNS = st.lists(
    st.sampled_from(
        ["ACC-[0-9]+", "[a-z]+", ".", "[^ ]+x", r"\w+", "[redact]+", r"\[", "(?s).*x", "é", r"\b\d", "=.*$"]
    ),
    max_size=3,
)
PIECES = st.sampled_from(
    ["ACC-1", "password=", "x", " ", "[redacted]", "é", "\ud800", "\n", "bob@example.com", "[", "12"]
)


@given(PATTERNS, st.lists(PIECES, max_size=10).map("".join))
def test_redacting_twice_changes_nothing_more_whatever_the_patterns(patterns: list[str], line: str) -> None:
    own = own_step(tuple(patterns))
    once = redact(line, own)
    assert redact_count(once, own) == (once, 0)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing"),
        ("a*", "empty text"),
        ("", "empty text"),
        ("x|", "empty text"),
        (r"(a)\1", "escape"),
        ("(?=a)", "invalid"),
        (r"\Cx", "characters apart"),
        (r"\\\Cx", "characters apart"),
        ("a" * 5000, "longer"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_the_reason(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        own_step((pattern,))


def test_a_backslash_before_a_c_is_no_single_byte() -> None:
    assert redact(r"a\Cb", own_step((r"\\Cb",))) == "a[redacted]"


def test_equal_patterns_give_the_same_step_so_that_what_was_cleaned_is_remembered() -> None:
    assert own_step(("a", "b")) is own_step(("a", "b"))


def bench() -> Bench:
    found = Bench()
    rules = [a_rule(group_by=("error_type", "user"), threshold=2, window=MINUTE)]
    found.store.apply(found.engine.reconfigure(rules, ROUTING, 1_000, START, own=OWN))
    return found


def match(time: int, **changes: object) -> object:
    made = a_match(time, f"E-{ACCOUNT}", message=f"for {ACCOUNT}", line=f"{ACCOUNT} {time} {ACCOUNT}", **changes)
    return msgspec.structs.replace(made, group=(f"E-{ACCOUNT}", ACCOUNT))


def test_an_incident_and_its_notification_hold_no_such_thing_but_its_identity() -> None:
    """Names, message, samples, stack, groups and people's notes; the group itself stays what matches are counted by."""
    world = bench()
    world.read(match(1, stack=f"at {ACCOUNT}", service=ACCOUNT, host=ACCOUNT), match(2, stack=f"at {ACCOUNT}"))
    incident = world.incident
    assert incident.group == (f"E-{ACCOUNT}", ACCOUNT)
    assert incident.fields == {"error_type": f"E-{HIDDEN}", "user": HIDDEN}
    world.engine.say(incident, Word(act=Act.ACKNOWLEDGE, by=ACCOUNT, note=f"is {ACCOUNT}"), START + 9)
    told = compose(incident, Action.TRIGGER, high=False, notes=(), external_url=None)
    assert ACCOUNT not in repr(told)
    assert told.redacted == 5, "two in each line, one in the first one's stack trace"
    assert ACCOUNT not in repr(world.engine.incident(incident.id)).replace(repr(incident.group), "").replace(
        repr(incident.own_hidden), ""
    )


def test_a_worse_match_speaks_for_itself_and_is_counted() -> None:
    world = bench()
    world.read(match(1), match(2))
    before = world.incident.redacted
    worse = match(3, level=max(type(match(1).level)))  # type: ignore[attr-defined]
    world.read(worse)
    assert ACCOUNT not in "".join([world.incident.message, *world.incident.samples])
    assert world.incident.redacted == before + 2
    assert len(world.incident.hidden) == len(world.incident.samples)


def test_new_patterns_also_hide_what_open_incidents_hold() -> None:
    world = Bench(a_rule())
    world.read(a_match(1, f"E-{ACCOUNT}", message=ACCOUNT, line=f"{ACCOUNT} token=abc", service=ACCOUNT))
    assert world.incident.samples == [f"{ACCOUNT} token={HIDDEN}"]
    world.store.apply(world.engine.reconfigure([a_rule()], ROUTING, 1_000, START, own=OWN))
    incident = world.incident
    assert incident.samples == [f"{HIDDEN} token={HIDDEN}"]
    assert (incident.message, incident.service, incident.fields, incident.redacted) == (
        HIDDEN,
        HIDDEN,
        {"error_type": f"E-{HIDDEN}"},
        2,
    )
    assert world.store.snapshot().incidents[incident.id].samples == incident.samples
    again = world.engine.reconfigure([a_rule()], ROUTING, 1_000, START, own=OWN)
    assert again.incidents == {}, "what holds nothing of the kind is not written again"


def test_a_rejected_record_and_a_silences_words_are_redacted_too() -> None:
    assert sample_of(f"x {ACCOUNT}".encode(), OWN) == f"x {HIDDEN}"
    quarantine = Quarantine([], 1)
    quarantine.configure(5, OWN)
    (kept,) = quarantine.add("in", "source", 1, [("torn", ACCOUNT.encode())])
    assert kept.sample == HIDDEN
