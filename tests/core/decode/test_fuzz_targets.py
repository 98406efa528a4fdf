"""What fuzzing checks holds for its first inputs, and it notices a decoder of which it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import __main__ as runner
from fuzz import targets
from sidecar.core.decode.json import JsonDecoder
from sidecar.core.decode.stream import FORMATS


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_first_inputs_are_all_right(target):
    seeds = targets.seeds(target)
    assert len(seeds) > 10
    for seed in seeds:
        targets.TARGETS[target](seed)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(targets.TARGETS)), st.data())
def test_damaged_inputs_are_all_right(target, data):
    seed = data.draw(st.sampled_from(targets.seeds(target)))[:1500]
    for _ in range(data.draw(st.integers(0, 3))):
        at, damage = data.draw(st.integers(0, len(seed))), data.draw(st.binary(max_size=4))
        seed = seed[:at] + damage + seed[at + data.draw(st.integers(0, 4)) :]
    targets.TARGETS[target](seed)


class Raising(JsonDecoder):
    def push(self, line, cut, arrival, out):
        if b"raise" in line:
            raise KeyError(line)
        super().push(line, cut, arrival, out)


class Losing(JsonDecoder):
    def push(self, line, cut, arrival, out):
        if b"lose" not in line:
            super().push(line, cut, arrival, out)


class Forgetful(JsonDecoder):
    """Depends on the lines of one call."""

    def push(self, line, cut, arrival, out):
        if b"seen" not in line or not out:
            super().push(line, cut, arrival, out)


@pytest.mark.parametrize(
    ("decoder", "data"),
    [(Forgetful, b"\0\0\0" + b'{"a":"seen"}\n' * 4), (Losing, b"\0\0\0\nlose"), (Raising, b"\0\0\0raise")],
)
def test_a_decoder_of_which_it_does_not_hold_is_noticed(decoder: Callable[..., object], data, monkeypatch, tmp_path):
    finding = tmp_path / "json" / "crash-1"
    finding.parent.mkdir()
    finding.write_bytes(data)
    assert runner.replay(finding, "json") == 0
    monkeypatch.setitem(FORMATS, "json", decoder)
    if decoder is Losing:
        monkeypatch.setitem(targets.GOOD, "json", b'{"msg":"good","lose":1}')
    with pytest.raises((AssertionError, KeyError, IndexError)):
        runner.replay(finding, "json")


def test_a_finding_must_say_which_decoder_it_is_for(tmp_path, capsys):
    assert runner.replay(tmp_path / "crash-1", tmp_path.name) == 2
    assert "--target" in capsys.readouterr().err
