"""Which groups share an incident: by time, by likeness, and by what a pattern captures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from oracle_kit import START, Bench, a_match, a_rule, discarded, ends, pages, told

from sidecar.core import grouping, rulestate
from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.notification import Action
from sidecar.core.people import Act, Word
from sidecar.core.records import Record
from sidecar.core.rule import ByLikeness, ByPattern, ByTime, Grouping, ResolvePolicy
from sidecar.core.texts import compose
from sidecar.core.timeline import What
from sidecar.core.times import HOUR, MINUTE, SECOND

SOON = {"grouping": ByTime(10 * MINUTE)}
ALIKE = {"grouping": ByLikeness(30 * MINUTE, 0.6), "group_by": ("service", "template")}


def alike(time: int, template: str, service: str = "checkout", **others: Any) -> Match:
    """A match of a service and a template."""
    match = a_match(time, error_type=None, **{"message": template, "service": service, **others})
    return msgspec.structs.replace(match, group=(service, template))


def why(changes: Any) -> list[str]:
    """What the timeline says of joins."""
    return [moment.text for _, moment in changes.timeline if moment.what is What.JOINED]


def grouped(incident: Incident) -> str | None:
    """What a notification says of why it is one incident."""
    return compose(incident, Action.TRIGGER, high=False, notes=(), external_url=None).grouping


# ── by time ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_breaches_soon_after_the_first_breach_joins_its_incident() -> None:
    bench = Bench(a_rule(**SOON))
    bench.read(a_match(0, "A"))
    changes = bench.read(a_match(10 * MINUTE, "B"), a_match(10 * MINUTE, "A"))
    assert (bench.incident.count, bench.incident.joined, told(changes)) == (3, (("B",),), [])
    assert why(changes) == ["within 10 minutes of the first: A"]


def test_a_later_breach_opens_an_incident_that_others_join() -> None:
    bench = Bench(a_rule(**SOON))
    bench.read(a_match(0, "A"), a_match(9 * MINUTE, "B"), a_match(10 * MINUTE + 1, "C"), a_match(11 * MINUTE, "D"))
    assert [incident.groups for incident in bench.incidents] == [(("A",), ("B",)), (("C",), ("D",))]


def test_a_group_that_joined_stays_until_the_incident_closes() -> None:
    """Also where its next match comes long after the time in which it could have joined."""
    bench = Bench(a_rule(**SOON))
    bench.read(a_match(0, "A"), a_match(MINUTE, "B"), *(a_match(n * 5 * MINUTE, "B") for n in range(1, 9)))
    assert bench.incident.count == 10
    closed = bench.read(a_match(2 * HOUR, "B"))
    assert (ends(closed), bench.incident.group) == (["quiet"], ("B",))


def test_what_a_window_has_counted_joins_with_its_breach() -> None:
    bench = Bench(a_rule(threshold=3, window=MINUTE, **SOON))
    bench.read(*(a_match(SECOND + n, "A") for n in range(3)), *(a_match(n, "B", Level.FATAL) for n in range(2)))
    assert bench.incident.count == 3
    changes = bench.read(a_match(2 * SECOND, "B"))
    incident = bench.incident
    assert (incident.count, incident.level, incident.first_seen, incident.last_seen) == (
        *(6, Level.FATAL),
        *(START, START + 2 * SECOND),
    )
    assert len(pages(changes)) == 1
    assert bench.store.groups == {}


def test_a_join_costs_no_page_budget_and_is_no_storm() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1, **SOON), page_budget=1)
    bench.read(*(a_match(n, f"E{n}", Level.FATAL) for n in range(50)))
    assert (bench.incident.count, bench.incident.folded_into) == (50, None)


def test_joined_groups_count_towards_the_limit_of_groups() -> None:
    bench = Bench(a_rule(max_groups=3, **SOON))
    bench.read(*(a_match(n, f"E{n}") for n in range(9)))
    assert list(bench.engine.gauges()) == [("rule", 4, 0)]
    assert bench.incident.joined == (("E1",), ("E2",), (rulestate.OTHER,))


def test_an_incident_takes_in_a_bounded_number_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MAX_JOINED", 2)
    bench = Bench(a_rule(**SOON))
    bench.read(*(a_match(n, f"E{n}") for n in range(5)))
    assert [len(incident.groups) for incident in bench.incidents] == [3, 2]


def test_everything_that_joined_ends_with_the_incident() -> None:
    bench = Bench(a_rule(**SOON))
    bench.read(a_match(0, "A"), a_match(1, "B"))
    bench.engine.say(bench.incident, Word(act=Act.RESOLVE), START + MINUTE)
    late = bench.read(a_match(SECOND, "B"), a_match(2 * MINUTE, "B"), now=2 * MINUTE)
    assert discarded(late) == {"late_after_resolve": 1, "recently_resolved": 1}


def test_a_reopened_incident_gets_back_the_groups_that_are_still_free() -> None:
    bench = Bench(a_rule(reopen_after=0, **SOON))
    bench.read(a_match(0, "A"), a_match(1, "B"), a_match(2, "C"))
    first = bench.incident
    bench.store.apply(bench.engine.say(first, Word(act=Act.RESOLVE), START + MINUTE))
    bench.read(a_match(HOUR, "B"))
    bench.store.apply(bench.engine.say(first, Word(act=Act.REOPEN), START + HOUR))
    bench.read(a_match(HOUR, "B"), a_match(HOUR, "C"))
    assert {incident.groups: incident.count for incident in bench.incidents} == {(("A",), ("C",)): 4, (("B",),): 2}
    assert [key for _, key in bench.store.ended] == [("B",)]


def test_a_restart_forgets_nothing_of_what_joined() -> None:
    bench = Bench(rule := a_rule(**SOON))
    bench.read(a_match(0, "A"), a_match(1, "B"))
    assert bench.restart(rule).empty
    bench.read(a_match(MINUTE, "B"), a_match(MINUTE, "C"))
    assert (bench.incident.count, len(bench.incident.groups)) == (4, 3)


def test_a_removed_rule_closes_a_shared_incident_once() -> None:
    bench = Bench(a_rule(**SOON))
    bench.read(a_match(0, "A"), a_match(1, "B"))
    assert ends(bench.configure()) == ["rule_removed"]


@pytest.mark.parametrize("changed", [None, ByTime(MINUTE), ByLikeness(MINUTE, 0.5)])
def test_another_grouping_empties_the_windows(changed: Grouping | None) -> None:
    counted = {"threshold": 2, "window": MINUTE}
    bench = Bench(a_rule(**counted, **SOON))
    bench.read(a_match(0))
    bench.configure(a_rule(grouping=changed, **counted))
    assert bench.store.groups == {}


def test_an_incident_that_was_not_opened_by_time_is_not_joined_by_time() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, "A"))
    bench.configure(a_rule(**SOON))
    bench.read(a_match(1, "B"), a_match(2, "C"))
    assert [incident.groups for incident in bench.incidents] == [(("A",),), (("B",), ("C",))]


def test_a_clearing_record_must_agree_with_every_group() -> None:
    when = {"resolve": ResolvePolicy(after_quiet=None, when=object()), "group_by": ("service",)}  # type: ignore[arg-type]
    bench = Bench(msgspec.structs.replace(a_rule(), **SOON, **when))
    bench.read(a_match(0, "A"), a_match(1, "B"))
    assert ends(bench.read(a_match(2, "A", clearing=True))) == []
    assert ends(bench.read(a_match(3, "(none)", clearing=True))) == ["cleared"]


# ── by likeness ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_that_are_alike_share_an_incident() -> None:
    bench = Bench(a_rule(**ALIKE))
    changes = bench.read(
        alike(0, "could not connect to <*>"), alike(1, "can not connect to <*>"), alike(2, "disk full")
    )
    assert [len(incident.groups) for incident in bench.incidents] == [2, 1]
    assert why(changes) == ["similar to 0.75: could not connect to <*>"]


def test_likeness_is_to_the_first_template_and_not_to_those_that_joined() -> None:
    """Or a chain of small differences would join everything."""
    bench = Bench(a_rule(**ALIKE))
    bench.read(*(alike(n, text) for n, text in enumerate(["a b c d e", "a b c x y", "z b c x y"])))
    assert len(bench.incidents) == 2


def test_services_never_share_an_incident() -> None:
    bench = Bench(a_rule(**ALIKE))
    bench.read(alike(0, "it broke badly"), alike(1, "it broke badly", "cart"), alike(2, "it broke badly again", "cart"))
    assert sorted({group[0] for group in incident.groups} for incident in bench.incidents) == [{"checkout"}, {"cart"}]


def test_the_order_of_words_matters() -> None:
    bench = Bench(a_rule(**ALIKE))
    bench.read(alike(0, "a b c d"), alike(1, "d c b a"))
    assert len(bench.incidents) == 2


@pytest.mark.parametrize(("time", "joins"), [(31 * MINUTE, True), (31 * MINUTE + 1, False), (-29 * MINUTE, True)])
def test_only_an_incident_that_is_still_going_on_is_joined(time: int, joins: bool) -> None:
    bench = Bench(a_rule(resolve=ResolvePolicy(after_quiet=None), **ALIKE))
    bench.read(alike(0, "it broke badly"), alike(MINUTE, "it broke badly"))
    bench.read(alike(time, "it broke very badly"), now=HOUR)
    assert (len(bench.incidents) == 1) is joins


@pytest.mark.parametrize(
    ("template", "host"), [("a b c d x", "a b c d e"), ("a b x d y", "a b c d e"), ("z b c d y", "z b c d f")]
)
def test_the_most_similar_incident_is_joined_and_the_oldest_of_several(template: str, host: str) -> None:
    bench = Bench(a_rule(grouping=ByLikeness(HOUR, 0.9), group_by=("service", "template")))
    bench.read(*(alike(n, text) for n, text in enumerate(["a b c d e", "a b c d f", "z b c d f"])))
    bench.configure(a_rule(**ALIKE))
    bench.read(alike(9, template))
    assert [incident.group[1] for incident in bench.incidents if incident.joined] == [host]


def test_a_breach_is_compared_with_a_bounded_number_of_incidents(monkeypatch: pytest.MonkeyPatch) -> None:
    """With those that were opened last, whatever the order in which a restart finds them."""
    monkeypatch.setattr(grouping, "MAX_CANDIDATES", 2)
    rule = a_rule(**ALIKE)
    bench = Bench(rule)
    bench.read(alike(0, "first one here"), alike(1, "second"), alike(2, "third"))
    for _ in range(2):
        bench.read(alike(3, "first one there"))
        assert len(bench.incidents) == 4
        bench.restart(rule)


# ── what people read ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_incident_of_one_group_says_nothing_of_grouping() -> None:
    bench = Bench(a_rule(**SOON))
    bench.read(a_match(0))
    assert grouped(bench.incident) is None


@pytest.mark.parametrize(
    ("services", "says"),
    [
        (
            ("checkout",) * 3,
            "3 groups of checkout within 10 minutes of the first: checkout, E0; checkout, E1; checkout, E2",
        ),
        (("a", "b"), "2 groups of 2 services within 10 minutes of the first: a, E0; b, E1"),
        (
            ("a",) * 6,
            "6 groups of a within 10 minutes of the first: a, E0; a, E1; a, E2; a, E3; … and 2 more",
        ),
    ],
)
def test_groups_joined_by_time_are_counted_and_named(services: tuple[str, ...], says: str) -> None:
    bench = Bench(a_rule(group_by=("service", "error_type"), **SOON))
    groups = [(service, f"E{n}") for n, service in enumerate(services)]
    bench.read(*(msgspec.structs.replace(a_match(n), group=group) for n, group in enumerate(groups)))
    assert grouped(bench.incident) == says


def test_templates_that_are_alike_are_counted_and_shown_redacted_and_bounded() -> None:
    bench = Bench(a_rule(**ALIKE))
    bench.read(
        alike(0, "login failed password=hunter2x for it"), alike(1, "login failed password=hunter2x for " + "y" * 200)
    )
    text = grouped(bench.incident)
    assert text is not None
    assert text.startswith("2 messages alike (≥ 60%): login failed password=")
    assert "hunter2x" not in text
    assert len(text) < 400


def test_a_storm_says_nothing_of_grouping() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1, grouping=ByTime(0)))
    bench.read(a_match(0, "A"), a_match(SECOND, "B"), a_match(SECOND, "C"))
    assert bench.incident_of("B").joined == (("C",),)
    (storm,) = (incident for incident in bench.incidents if incident.kind.value == "storm")
    assert (storm.joined, grouped(storm)) == ((), None)


# ── by what a record is counted ───────────────────────────────────────────────────────────────────────────────────────


def group_of(by: Grouping, fields: tuple[str, ...], *, clearing: bool = False, **record: Any) -> tuple[str, ...]:
    rule = a_rule(grouping=by, group_by=fields)
    return Matcher([rule]).group_of(rule, Record(time=0, level=Level.ERROR, **record), clearing=clearing)


@pytest.mark.parametrize(
    ("pattern", "fields", "message", "values"),
    [
        (r"upstream (?P<up>\w+)", ("up",), "to upstream cart failed", ("cart",)),
        (r"(\d+) of (\d+)", ("pattern.1", "pattern.2"), "3 of 7", ("3", "7")),
        (r"(a)|(b)", ("pattern.1", "pattern.2"), "b", ("(none)", "b")),
        (r"E\d+", ("pattern",), "code E17", ("E17",)),
        (r"E\d+", ("pattern",), "no code", ("(none)",)),
        (r"(x*)y", ("pattern.1",), "y", ("(none)",)),
        (r"(\C)", ("pattern.1",), "ü", ("\N{REPLACEMENT CHARACTER}",)),
        (r"x(.*)", ("pattern.1",), "x\ud800", ("\N{REPLACEMENT CHARACTER}" * 3,)),
    ],
)
def test_records_are_counted_by_what_a_pattern_captures(
    pattern: str, fields: tuple[str, ...], message: str, values: tuple[str, ...]
) -> None:
    assert group_of(ByPattern(pattern), ("service", *fields), message=message, service="s") == ("s", *values)


def test_records_are_counted_by_their_template_unless_they_clear() -> None:
    record = {"message": "order 5 failed", "error_type": "E", "service": "s"}
    assert group_of(ALIKE["grouping"], ("service", "template"), **record) == ("s", "E order <*> failed")
    assert group_of(ALIKE["grouping"], ("service", "template"), clearing=True, **record) == ("s", "(none)")
    assert group_of(ALIKE["grouping"], ("service", "template"), message="--") == ("(none)", "(none)")
