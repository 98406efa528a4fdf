"""A storm that follows another one is an incident of its own."""

from __future__ import annotations

from oracle_kit import START, Bench, a_match, a_rule, ends

from sidecar.core.levels import Level
from sidecar.core.notification import Kind
from sidecar.core.people import Act, Word
from sidecar.core.times import MINUTE


def test_a_reopened_incident_that_is_folded_again_opens_a_new_storm() -> None:
    """And not one under the id, and PagerDuty's key, of the storm that is over."""
    bench = Bench(a_rule(max_pages_per_hour=1))
    bench.read(a_match(0, "A"), a_match(1, "B"))
    folded = bench.incident_of("B")
    assert sorted(ends(bench.wait(20 * MINUTE)) + ends(bench.wait(30 * MINUTE))) == ["folded_closed", "quiet", "quiet"]
    bench.store.apply(bench.engine.say(folded, Word(act=Act.REOPEN), START + 30 * MINUTE))
    bench.read(a_match(31 * MINUTE, "B", Level.FATAL))
    storms = {incident.id: incident.is_open for incident in bench.store.history() if incident.kind is Kind.STORM}
    assert sorted(storms.values()) == [False, True]
