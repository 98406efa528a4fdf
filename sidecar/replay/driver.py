"""Replays old logs under a configuration: what would have been decided, had the daemon followed them back then.

What reaches the engine, and when, is in `reading`; the simulated clock in `core.simulation`. Here both are put together
with what a configuration says about inputs, rules and channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import msgspec

from sidecar.config.model import Config, StdinInput, TailInput
from sidecar.config.ruleset import decoding_of, ruleset_of
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.rule import Rule
from sidecar.core.simulation import Simulation
from sidecar.replay.logs import STDIN, Progress, Series
from sidecar.replay.reading import Event, Reader, Span, Stats


class Outcome(msgspec.Struct, frozen=True):
    """What a replay came to."""

    simulation: Simulation
    stats: Stats


def replay(
    config: Config,
    found: Sequence[Series],
    *,
    log_format: str | None = None,
    span: Span | None = None,
    texts: bool = False,
    progress: Progress | None = None,
    watch: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Replay logs to their end, then let the clock run until nothing is left to be decided.

    `log_format` overrides that of the configuration's inputs; `texts`: keep what every notification says; `watch` hears
    of all that reaches the engine.
    """
    simulation = simulation_of(config, texts=texts)
    reader = Reader(config.rules, lambda series: options_for(config, series, log_format), span=span, progress=progress)
    take = simulation.take
    for event in reader.events(found):
        watch(event)
        at, _, source, matches = event
        take(source, at, matches)
    simulation.run_out(longest_wait(config.rules))
    return Outcome(simulation, reader.stats)


def simulation_of(config: Config, *, texts: bool = False) -> Simulation:
    """Return a run of a configuration's rules, channels and silences that is about to begin."""
    ruleset = ruleset_of(config)
    return Simulation(
        ruleset.rules,
        ruleset.routing,
        page_budget=ruleset.page_budget,
        silences=ruleset.silences,
        own=ruleset.own,
        external_url=config.external_url,
        texts=texts,
    )


def longest_wait(rules: Sequence[Rule]) -> int:
    """Return how long after the last record incidents close at the latest, if nothing but a person is waited for."""
    return max(
        (rule.stale_after + (rule.resolve.after_quiet or 0) + rule.allowed_lateness for rule in rules), default=0
    )


def options_for(config: Config, series: Series, log_format: str | None = None) -> DecodeOptions:
    """Return how the bytes of a series are to be read: as the input would that follows it, else as the first would."""
    tails = [one for one in config.inputs if isinstance(one, TailInput)]
    stdins = [one for one in config.inputs if isinstance(one, StdinInput)] if series.path == STDIN else []
    fitting = (tail for tail in tails if any(_fits(series.path, pattern) for pattern in tail.paths))
    chosen = next(iter(stdins), None) or next(fitting, None) or next(iter(tails), None)
    options = DecodeOptions() if chosen is None else decoding_of(chosen)
    return options if log_format is None else msgspec.structs.replace(options, format=log_format)


def _fits(path: str, pattern: str) -> bool:
    """Whether a glob of an input leads to a path; here `*` may stand for several directories, too."""
    return fnmatchcase(path, os.path.abspath(pattern))  # noqa: PTH100 (as the daemon does it)
