"""How well records of one cause end up in one incident, and those of different causes in different ones.

The records come from `grouping_corpus`, with their true cause, and go as JSON lines through decoding, matching and the
engine, under a rule for each way of grouping. Every two records are one question: do they belong together? Precision is
the share of pairs in one incident that do, recall the share of pairs that belong together and are in one incident, F1
their harmonic mean. Two records of different services must never share an incident: that is asserted.

    make bench-grouping ARGS="--seeds 5 --sweep"
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.grouping_corpus import Logged, records
from sidecar.config.load import load
from sidecar.config.ruleset import Ruleset, ruleset_of
from sidecar.core.advance import Engine, Step
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detector
from sidecar.core.masking import template_of
from sidecar.core.matching import Matcher
from sidecar.core.timeline import What
from sidecar.core.times import SECOND

START = 1_790_000_000 * SECOND

WAYS = {
    "exact message": {"grouping": {"type": "content", "fields": ["service", "message"]}},
    "content (service and error type)": {"grouping": {"type": "content"}},
    "intelligent": {"grouping": {"type": "intelligent"}},
}
SWEEP = {
    f"intelligent, similarity {n / 100:.2f}": {"grouping": {"type": "intelligent", "similarity": n / 100}}
    for n in (40, 50, 55, 60, 65, 70, 75, 80, 90, 100)
}


def ruleset(rule: dict[str, object]) -> Ruleset:
    config = {
        "inputs": [{"type": "stdin"}],
        "channels": {"slack": {"type": "slack", "webhook_url": "http://127.0.0.1:9/x"}},
        "rules": [{"ruleName": "errors", "severity": "error", "channels": ["slack"], "resolve": "manual", **rule}],
    }
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "sidecar.json"
        file.write_text(json.dumps(config))
        loaded = load(file, {})
    assert loaded.config is not None, loaded.problems
    return ruleset_of(loaded.config)


def incidents(logged: list[Logged], rules: Ruleset) -> list[str]:
    """Return the incident of each record."""
    engine = Engine()
    engine.reconfigure(rules.rules, rules.routing, 10**6, START)
    detector = Detector(Stream(DecodeOptions(), None), Matcher(rules.rules))
    owner: dict[tuple[str, ...], str] = {}
    found = []
    for n, one in enumerate(logged):
        now = START + n * SECOND // 2
        record = {"time": now // 1_000_000, "level": "error", "service": one.service, "message": one.message}
        if one.error_type is not None:
            record["error_type"] = one.error_type
        detection = detector.judge(json.dumps(record).encode() + b"\n", arrival=now, at_end=True)
        (match,) = detection.matches
        step = Step(now=now, source="log", clock=detection.clock, got_bytes=True, matches=detection.matches)
        changes = engine.advance(step)
        joined = [incident for incident, moment in changes.timeline if moment.what is What.JOINED]
        opened = [fact.incident for fact in changes.facts.opened if fact.kind.value != "storm"]
        for incident in opened + joined:
            owner[match.group] = incident
        found.append(owner[match.group])
    return found


def pairs(labels: list[object]) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())


def scores(logged: list[Logged], found: list[str]) -> tuple[float, float, float, int]:
    """Return precision, recall, F1 and the number of incidents."""
    services: dict[str, str] = {}
    for one, incident in zip(logged, found, strict=True):
        assert services.setdefault(incident, one.service) == one.service, "an incident holds two services"
    truth = [(one.service, one.cause) for one in logged]
    both = pairs(list(zip(truth, found, strict=True)))
    precision, recall = both / max(pairs(list(found)), 1), both / pairs(list(truth))
    f1 = 2 * precision * recall / (precision + recall) if both else 0.0
    return precision, recall, f1, len(services)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="sets of records")
    parser.add_argument("--sweep", action="store_true", help="also other similarities")
    args = parser.parse_args()
    sets = [records(seed) for seed in range(args.seeds)]
    causes = {(one.service, one.cause) for one in sets[0]}
    services = {service for service, _ in causes}
    print(f"{args.seeds} sets; the first: {len(sets[0]):,} records, {len(causes)} causes, {len(services)} services")
    print("| grouping | precision | recall | F1 | lowest F1 | incidents |")
    print("|---|---|---|---|---|---|")
    for name, rule in {**WAYS, **(SWEEP if args.sweep else {})}.items():
        rules = ruleset(rule)
        measured = [scores(logged, incidents(logged, rules)) for logged in sets]
        precision, recall, f1, count = (statistics.mean(column) for column in zip(*measured, strict=True))
        print(
            f"| {name} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {min(m[2] for m in measured):.3f} | {count:.0f} |"
        )
    started = time.process_time()
    for one in sets[0]:
        template_of(one.error_type, one.message)
    nanoseconds = (time.process_time() - started) / len(sets[0]) * 1e9
    length = statistics.mean(len(one.message) for one in sets[0])
    print(f"\nmasking: {nanoseconds:,.0f} ns a message of {length:.0f} characters on average")


if __name__ == "__main__":
    main()
