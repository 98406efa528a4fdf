"""The last rejected records are kept, bounded and without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import quarantine as quarantine_module
from sidecar.core.decode.base import MAX_SAMPLE_BYTES, Rejected
from sidecar.core.quarantine import MAX_SOURCE, Quarantine, sample_of

steps = st.lists(st.one_of(st.integers(0, 5), st.integers(1, 20).map(str)), max_size=20)
"""A number: the bound changes; a text: a batch with so many samples."""


@given(most=st.integers(0, 5), steps=steps)
def test_the_last_ones_are_kept_and_all_up_to_one_id_are_gone(most: int, steps: list[int | str]) -> None:
    quarantine = Quarantine([], most)
    kept: list[tuple[int, str]] = []  # the oracle
    serial = 0
    for step in steps:
        if isinstance(step, int):
            most = step
            quarantine.configure(most)
            added = []
        else:
            samples = [(Rejected.TORN, str(serial + number).encode()) for number in range(int(step))]
            serial += int(step)
            added = quarantine.add("in", "source", 1, samples)
            kept += [(record.id, record.sample) for record in added]
            assert [record.sample for record in added] == [data.decode() for _, data in samples][-most:][: len(added)]
            assert len(added) == min(most, int(step))
        kept = kept[max(0, len(kept) - most) :]
        assert [(record.id, record.sample) for record in quarantine.latest(99)] == kept[::-1]
        assert all(id_ > quarantine.gone for id_, _ in kept)
        assert len(quarantine) == len(kept) <= quarantine.most == most
    ids = [id_ for id_, _ in kept]
    assert ids == sorted(set(ids))


def test_it_goes_on_from_what_was_kept_before() -> None:
    before = Quarantine([], 10)
    before.add("in", "s", 1, [(Rejected.TORN, b"%d" % number) for number in range(5)])
    again = Quarantine(before.latest(9)[::-1], 3)
    (added,) = again.add("in", "s", 2, [(Rejected.TORN, b"5")])
    assert (added.id, again.gone) == (6, 3)
    assert [record.sample for record in again.latest(9)] == ["5", "4", "3"]


def test_records_are_found_by_input_and_reason_the_newest_first() -> None:
    quarantine = Quarantine([], 10)
    for number, (name, reason) in enumerate([("a", "torn"), ("b", "torn"), ("a", "too_deep"), ("a", "torn")]):
        quarantine.add(name, "s", number, [(reason, b"")])
    assert [r.arrival for r in quarantine.latest(9, name="a")] == [3, 2, 0]
    assert [r.arrival for r in quarantine.latest(9, reason="torn")] == [3, 1, 0]
    assert [r.arrival for r in quarantine.latest(1, name="a", reason="torn")] == [3]


def test_where_nothing_is_kept_no_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_module, "redact", None)
    assert Quarantine([], 0).add("in", "s", 1, [(Rejected.TORN, b"x")]) == []


def test_a_source_is_bounded_and_can_be_written_whatever_its_name() -> None:
    (record,) = Quarantine([], 1).add("in", "\udcff" + "x" * 5000, 1, [(Rejected.TORN, b"")])
    assert record.source.encode() == b"?" + b"x" * (MAX_SOURCE - 1)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b'{"password": "hunter2", "a": ', '{"password": "[redacted]", "a": '),
        (b"Authorization: Bearer abcdef123456abcdef", "Authorization: [redacted]"),
        (b"caf\xe9 \xff", "caf\ufffd \ufffd"),
        (b"a\x00b\x1b[31m\n", "a\x00b\n"),
        (b"\x81\xa8password\xa7hunter2", "\ufffd\ufffdpassword\ufffd[redacted]"),
        (b"\n\x08passcode\x12\x09\n\x07hunter2", "\n\x08passcode\x12[redacted]"),
        (b"\x81\xa7message\xa4fine", "\ufffd\ufffdmessage\ufffdfine"),
        (b"", ""),
    ],
)
def test_a_sample_is_text_without_secrets(data: bytes, shown: str) -> None:
    assert sample_of(data) == shown


@pytest.mark.parametrize(
    ("before", "secret"),
    [
        (b'"password": "', b"zq8-horse battery staple, and more"),
        (b"key ", b"AKIAZQ8ZQ8ZQ8ZQ8ZQ8Z"),
        (b"Bearer ", b"zq8" * 30),
        (b"eyJhbGciOiJIUzI1NiJ9.", b"zq8" * 50),
        (b"postgres://user:", b"zq8" * 20 + b"@db/x"),
        (b"card ", b"4111 1111 1111 1111"),
    ],
)
def test_no_half_of_a_secret_survives_a_cut(before: bytes, secret: bytes) -> None:
    for position in range(MAX_SAMPLE_BYTES - len(before + secret) - 2, MAX_SAMPLE_BYTES, 1 + len(secret) // 16):
        line = b"word " * (position // 5) + b"." * (position % 5) + b" " + before + secret + b'", "n": 1}'
        shown = sample_of(line[:MAX_SAMPLE_BYTES])
        assert secret[:4].decode() not in shown
        assert shown.startswith("word word ")


@given(
    st.binary(max_size=MAX_SAMPLE_BYTES),
    st.sampled_from([b"", b"password", b'"token": "', b"-----BEGIN PRIVATE KEY-----"]),
)
def test_any_bytes_make_a_bounded_sample_that_can_be_stored(data: bytes, before: bytes) -> None:
    shown = sample_of((before + data)[:MAX_SAMPLE_BYTES])
    assert len(shown) <= MAX_SAMPLE_BYTES
    assert shown.encode().decode() == shown
