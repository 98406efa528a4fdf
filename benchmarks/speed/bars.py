"""The table of promises: each row is measured beside what it is compared with, round by round.

Every tool must find what the generator put in, and lines that are preselected must bring the same incidents as lines
that are all parsed; anything else ends the run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.speed import peers
from benchmarks.speed.child import MEASURED, OTHER, has_prefilter, measure, pin
from benchmarks.speed.corpus import Corpora, Corpus
from benchmarks.speed.daemon import http_input, running
from benchmarks.speed.measuring import Bar, Figure, figure, interleaved, ratio, table
from benchmarks.speed.sender import batches, requests, send
from benchmarks.speed.settings import TEN_RULES, Settings, counting, settings, tail_input
from benchmarks.speed.shapes import SHAPES, Shape

AUTO, NEWLINES = "pipeline, auto", "newlines"
DECLARED = "pipeline, declared"

STORM_RECORDS = 2_000
"""Lines of a storm for each megabyte that was asked for."""

SMALL_REQUESTS = 100
"""Requests of one record for each megabyte that was asked for."""

IN_FLIGHT = 4
"""Connections that large batches come over: enough that the next is there when one is answered."""


class Bars:
    """Measures rows."""

    def __init__(self, corpora: Corpora, rounds: int) -> None:
        self._corpora = corpora
        self._rounds = rounds
        self._directory = corpora.directory

    def say(self, what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def pipeline(self, corpus: Corpus, form: str, rules: Sequence[Settings] = TEN_RULES, **how: bool) -> float:
        """Return the seconds that the whole pipeline takes for a file."""
        made = partial(settings, [tail_input([corpus.path], form)], rules=rules)
        measured = measure("read_files", lambda state: made(state=state), self._directory, **how)
        peers.agree("pipeline", measured["matches"], corpus.wanted)
        self._incidents = (measured["incidents"], measured["digest"])
        self._decoded = measured["decoded"] / corpus.records
        return measured["seconds"]

    def checked(self, corpus: Corpus, form: str) -> str:
        """Return which part of the records is decoded. Raises if preselecting lines changes any incident."""
        self.pipeline(corpus, form, steady=True)
        preselected, decoded = self._incidents, self._decoded
        if has_prefilter():
            self.pipeline(corpus, form, steady=True, exact=True)
            if preselected != self._incidents:
                raise peers.DisagreementError(f"{corpus.path.stem}: {preselected} is not {self._incidents}")
        return f"{decoded:.1%}"

    def files(self) -> tuple[list[Bar], str]:
        """Measure every shape; return the rows about files, and a table of all shapes."""
        against: dict[str, list[Figure]] = {name: [] for name in ("newlines", "rg", "loads", "auto", "mtail")}
        no_rg, no_mtail = peers.missing("rg", "jq"), peers.missing("mtail")
        rows = []
        for shape in SHAPES:
            corpus = self._corpora.shape(shape)
            self.say(f"{shape.name}: {corpus.size / 1e6:.0f} MB in {corpus.lines:,} lines")
            seconds = interleaved(self._ways(corpus, rg=not no_rg, mtail=not no_mtail), self._rounds)
            auto = ratio(seconds[NEWLINES], seconds[AUTO], shape.name)
            if shape.bears_json:
                against["auto"].append(auto)
            if DECLARED in seconds:
                ours = seconds[DECLARED]
                for name, way in (
                    ("newlines", NEWLINES),
                    ("rg", "rg | jq"),
                    ("loads", "json.loads"),
                    ("mtail", "mtail"),
                ):
                    if way in seconds:
                        against[name].append(ratio(seconds[way], ours, shape.name))
            rows.append(self._row(shape, corpus, seconds, auto, self.checked(corpus, "auto")))
        json_declared = "whole pipeline with store, JSON with a declared level key, against "
        bars = [
            Bar(json_declared + "Python's own read-and-count-newlines", 0.5, 0.65, against["newlines"], form=".3f"),
            Bar(
                "same, against `rg -i 'error\\|fatal'` piped into `jq`",
                1.5, 2, against["rg"], form=".1f", why_not=f"{no_rg} is not installed",
            ),
            Bar("same, against a json.loads loop", 15, 20, against["loads"], form=".1f"),
            Bar(
                "whole pipeline, `format: auto`, nothing declared, JSON-bearing shapes, against "
                "read-and-count-newlines",
                0.35, 0.5, against["auto"], form=".3f",
            ),
            Bar(
                "whole pipeline, JSON with a declared level key, against mtail, same question",
                15, 20, against["mtail"], form=".1f", why_not=f"{no_mtail} is not installed",
            ),
        ]  # fmt: skip
        head = (
            "shape",
            "bytes a line",
            "newlines MB/s",
            "auto MB/s",
            "decoded",
            "thousand lines/s",
            "auto against newlines",
            "spread",
            "declared MB/s",
        )
        return bars, table(head, rows)

    def _ways(self, corpus: Corpus, *, rg: bool, mtail: bool) -> dict[str, Callable[[], float]]:
        shape = corpus.shape
        ways: dict[str, Callable[[], float]] = {
            NEWLINES: partial(_here, peers.count_newlines, corpus),
            AUTO: partial(self.pipeline, corpus, "auto"),
        }
        if shape.jq:
            ways[DECLARED] = partial(self.pipeline, corpus, shape.format)
            ways["json.loads"] = partial(_here, peers.json_loads, corpus)
            if rg:
                ways["rg | jq"] = partial(peers.ripgrep_and_jq, corpus)
            if mtail:
                ways["mtail"] = partial(peers.mtail, corpus)
        return ways

    def _row(
        self, shape: Shape, corpus: Corpus, seconds: dict[str, list[float]], auto: Figure, decoded: str
    ) -> list[str]:
        def speed(way: str) -> float:
            return corpus.size / 1e6 / figure(seconds[way]).median

        lines = corpus.lines / 1e3 / figure(seconds[AUTO]).median
        declared = f"{speed(DECLARED):,.0f}" if DECLARED in seconds else ""
        return [
            shape.name, f"{corpus.size / corpus.lines:.0f}", f"{speed(NEWLINES):,.0f}", f"{speed(AUTO):,.0f}",
            decoded, f"{lines:,.0f}", auto.text(".3f"), auto.spread(".3f"), declared,
        ]  # fmt: skip

    def storm(self) -> Bar:
        """Measure a file in which every line matches."""
        records = max(5_000, round(STORM_RECORDS * self._corpora.megabytes))
        corpus = self._corpora.json("storm", wanted=1.0, groups=100, records=records)
        self.say(f"storm: {records:,} lines")
        ways = {"in windows": counting(1_000), "in open incidents": counting(1_000, threshold=20)}
        seconds = interleaved(
            {name: partial(self.pipeline, corpus, "json", rules) for name, rules in ways.items()}, self._rounds
        )
        self.checked(corpus, "json")
        return Bar(
            "every line matches, ≤ 100 groups, through rules, windows and store",
            200_000, 350_000, [figure([records / one for one in seconds[name]], name) for name in ways],
            form=",.0f", unit=" lines/s",
        )  # fmt: skip

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def http(self, made: Sequence[bytes], corpus: Corpus, form: str, connections: int, wanted: int) -> float:
        """Return the seconds until the daemon has committed all requests."""
        with running(lambda at: settings([http_input(form)], at / "state"), self._directory, listens=True) as daemon:
            sent = send(daemon.address, made, connections)
            peers.agree(f"HTTP, {corpus.shape.name}", daemon.matches, wanted)
        if sent.refused:
            self.say(f"  {sent.refused} requests were refused for now and sent again")
        return sent.seconds

    def intake(self) -> list[Bar]:
        """Measure large batches against the same bytes from a file."""
        plain, zipped = [], []
        for shape in SHAPES[:2]:
            corpus = self._corpora.shape(shape)
            self.say(f"HTTP, {shape.name}")
            bodies = batches(corpus.path)
            large, small = requests(bodies), requests(bodies, zipped=True)
            tail, http, inflated = "tail", "http", "gzip"
            seconds = interleaved(
                {
                    tail: partial(self.pipeline, corpus, shape.format),
                    http: partial(self.http, large, corpus, shape.format, IN_FLIGHT, corpus.wanted),
                    inflated: partial(self.http, small, corpus, shape.format, IN_FLIGHT, corpus.wanted),
                },
                self._rounds,
            )
            plain.append(ratio(seconds[tail], seconds[http], shape.name))
            zipped.append(ratio(seconds[tail], seconds[inflated], shape.name))
        work = "HTTP intake, NDJSON in 1 MB batches from a process on the other core, against the tail path"
        return [Bar(work, 0.45, 0.6, plain), Bar("same, gzip, of inflated bytes", 0.2, 0.3, zipped)]

    def small(self) -> Bar:
        """Measure requests of one record."""
        count = max(500, round(SMALL_REQUESTS * self._corpora.megabytes))
        corpus = self._corpora.json("small", records=count)
        made = requests(corpus.path.read_bytes().splitlines(keepends=True))
        self.say(f"small requests: {count:,}")
        one = partial(self.http, made, corpus, "json", 64, corpus.wanted)
        seconds = interleaved({"small": one}, self._rounds)["small"]
        return Bar(
            "small HTTP requests, one record each, 64 connections, `synchronous=FULL` on disk",
            3_000, 6_000, [figure([count / one for one in seconds])], form=",.0f", unit="/s committed",
        )  # fmt: skip


def _here(way: Callable[[Corpus], float], corpus: Corpus) -> float:
    """Run something in this process, on the measured core."""
    pin(MEASURED)
    try:
        return way(corpus)
    finally:
        pin(OTHER)
