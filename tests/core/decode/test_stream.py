"""What a stream promises whatever its format: tearing, restarts, positions, times, bounds."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from decode_kit import ARRIVAL, FOLLOWER, FORMATS, SAMPLES, counted, cri, decode, docker, options, seen
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode import registry
from sidecar.core.decode.base import MAX_SAMPLE_BYTES, MAX_SAMPLES, Rejected, StreamStats
from sidecar.core.decode.stream import Stream, holds_record
from sidecar.core.decode.text import JOIN_WAIT
from sidecar.core.times import HOUR, MINUTE, SECOND

LINES = sorted({line for sample in SAMPLES.values() for line in sample.split(b"\n")})
ODD_LINES = [
    b"",
    b" ",
    b"\r",
    b"\0",
    b"\0\0",
    b"a\0\0b",
    b"\xef\xbb\xbf{}",
    b"{",
    b"[1]",
    b'{"a":"' + b"z" * 90 + b'"}',
]
LONGEST = (64, 2**20)

LOGFMT = [b'level=error msg="it \\"broke\\"" err=x', b"ts=1767323045 level=info msg=ok flag", b'level=warn msg="torn']
wrapped = st.builds(
    cri, st.sampled_from(LINES), st.sampled_from(["stdout", "stderr"]), st.sampled_from(["F", "P", "P", "F:x"])
) | st.builds(
    docker, st.sampled_from([line + b"\n" for line in LINES] + LINES), st.sampled_from(["stdout", "stderr", "other"])
)
one_line = (
    wrapped.map(lambda line: line.removesuffix(b"\n"))
    | st.sampled_from(LOGFMT)
    | st.sampled_from(LINES)
    | st.sampled_from(ODD_LINES)
    | st.binary(max_size=20)
    | st.just(b"panic: " + b"q" * 80)
)
logs = st.lists(st.tuples(one_line, st.sampled_from([b"\n", b"\r\n", b"\n\n"])), max_size=14).map(
    lambda parts: b"".join(line + end for line, end in parts)
)
logs_with_rest = st.builds(bytes.__add__, logs, st.binary(max_size=5)) | st.sampled_from(sorted(SAMPLES.values()))


@settings(max_examples=250, deadline=None)
@given(logs_with_rest, st.sampled_from(FORMATS), st.sampled_from(LONGEST), st.lists(st.integers(0, 2000), max_size=5))
def test_records_and_counts_do_not_depend_on_where_the_bytes_are_torn(data, log_format, longest, cuts):
    reading = options(log_format, max_line_bytes=longest)
    whole = Stream(reading)
    expected = seen(decode(whole, data))
    counts = counted(whole.take_stats())
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    for blocks in ([data[a:b] for a, b in pairwise(edges)], [data[i : i + 1] for i in range(len(data))]):
        torn = Stream(reading)
        got = [one for block in blocks for one in torn.feed(block, ARRIVAL)] + torn.finish(ARRIVAL)
        assert seen(got) == expected
        assert counted(torn.take_stats()) == counts


def check_restart(data: bytes, cut: int, flushed: bool, log_format: str, longest: int) -> None:
    """Restart a stream behind `cut` bytes: it must go on as the first one does."""
    reading = options(log_format, max_line_bytes=longest)
    first = Stream(reading)
    first.feed(data[:cut], ARRIVAL)
    if flushed:
        first.flush()
    first.take_stats()
    pending = first.pending
    assert first.tail() == data[: cut - pending][-256:]

    second = Stream(reading, first.state())
    assert second.tail() == first.tail()
    assert second.feed(data[cut - pending : cut], ARRIVAL) == [], "an unfinished line is no record"
    assert counted(second.take_stats()) == (0, {}, 0, 0, 0, 0)
    assert (second.pending, second.tail(), second.state()) == (pending, first.tail(), first.state())
    assert holds_record(second.state()) == (second.flush_due() is not None)
    assert second.flush_due() == first.flush_due()
    assert seen(decode(second, data[cut:])) == seen(decode(first, data[cut:]))
    assert counted(second.take_stats()) == counted(first.take_stats())


@settings(max_examples=250, deadline=None)
@given(logs_with_rest, st.integers(0, 2000), st.booleans(), st.sampled_from(FORMATS), st.sampled_from(LONGEST))
def test_a_stream_restarted_with_its_pending_bytes_goes_on_as_if_nothing_had_happened(
    data, cut, flushed, log_format, longest
):
    check_restart(data, cut % (len(data) + 1), flushed, log_format, longest)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_restart_goes_unnoticed_at_every_byte_around_every_line_of_the_samples(sample):
    data = SAMPLES[sample]
    ends = [at + 1 for at, byte in enumerate(data) if byte == 0x0A]
    for cut in sorted({end + step for end in ends for step in (-1, 0, 1)} - {len(data) + 1}):
        check_restart(data, cut, False, "auto", 2**20)
        check_restart(data, cut, True, "auto", 2**20)


@pytest.mark.parametrize(
    ("log_format", "data", "pending"),
    [
        ("json", b'{"a":1}\n{"b"', 4),
        ("json", b"not json\n", 0),
        ("text", b"one\ntwo\n", 0),
        ("text", b"one\n  more\n  ha", 4),
        ("cri", cri("one", tag="P"), 0),
        ("cri", cri("one", tag="P")[:-1], 33),
    ],
)
def test_only_an_unfinished_line_is_pending(log_format, data, pending):
    stream = Stream(options(log_format))
    stream.feed(data, ARRIVAL)
    assert stream.pending == pending


def test_an_unfinished_line_stays_pending_when_the_record_before_it_is_flushed():
    stream = Stream(options())
    stream.feed(b"one\n  more\nha", ARRIVAL)
    (flushed,) = stream.flush()
    assert flushed.record.message == "one\n  more"
    assert stream.pending == 2
    assert stream.flush() == []


HELD = [b"ERROR one\n", b"ERROR one\n  more\n\n", cri("ERROR one"), cri("ERROR one", tag="P"), docker("ERROR one")]


@pytest.mark.parametrize("data", HELD)
def test_a_held_record_is_part_of_the_state_and_comes_out_exactly_once_when_it_is_due(data):
    first = Stream(options())
    assert first.feed(data, ARRIVAL) == []
    due = first.flush_due()
    second = Stream(options(), first.state())
    assert second.flush_due() == due
    assert second.flush(due - 1) == []
    (flushed,) = second.flush(due)
    assert flushed.record.message.startswith("one")
    assert (flushed.arrival, flushed.record.level.label) == (ARRIVAL, "error")
    assert (second.flush_due(), second.flush(), second.finish(due)) == (None, [], [])


@pytest.mark.parametrize("data", HELD)
def test_a_state_tells_whether_a_record_waits_in_it(data):
    stream = Stream(options())
    assert not holds_record(stream.state())
    stream.feed(data, ARRIVAL)
    assert holds_record(stream.state())
    stream.flush()
    assert not holds_record(stream.state())
    assert not holds_record(b"\xc1")


@pytest.mark.parametrize("data", HELD)
@pytest.mark.parametrize("log_format", ["json", "logfmt"])
def test_a_held_record_outlives_a_change_of_its_inputs_format(data, log_format):
    first = Stream(options())
    first.feed(data, ARRIVAL)
    second = Stream(options(log_format), first.state())
    third = Stream(options(log_format), second.state())
    assert holds_record(second.state())
    for stream in (second, third):
        assert stream.flush_due() <= ARRIVAL
        assert [one.record.level.label for one in stream.feed(FOLLOWER, ARRIVAL)][:1] == ["error"]


def test_a_clock_stepped_back_does_not_hold_a_record():
    stream = Stream(options())
    stream.feed(b"ERROR one\n", ARRIVAL)
    assert len(stream.flush(ARRIVAL - HOUR)) == 1


@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa4tail\xc0", b"\x81\xa6format\xa1\xff"])
def test_a_state_that_cannot_be_read_counts_as_none(state):
    assert seen(decode(Stream(options(), state), "INFO x\n")) == seen(decode(Stream(options()), "INFO x\n"))


NO_LINES = b"\x92\x95\x90\x00\x00\x00\x00\xc0"
NO_UTF8 = b"\x92\x95\x91\xa1\xff\x00\x00\x00\x00\xc0"
NO_TRACE = b"\x92\x95\x91\xa1a\x00\x00\x63\x00\xc0"


@pytest.mark.parametrize("decoder", [b"\x01", b"\x93\x63\x00\xc3", NO_LINES, NO_UTF8, NO_TRACE])
def test_a_decoders_state_that_cannot_be_read_counts_as_none(decoder):
    for log_format in FORMATS:
        made = registry.FORMATS[log_format](options(log_format), StreamStats(), decoder)
        assert made.state() == b""


def test_counts_add_up_and_samples_are_few_and_short():
    def counts(number: int, rejected: int) -> StreamStats:
        stats = StreamStats(
            records=number, truncated=number, joined=number, dropped=number, skewed=number, skewed_zoneless=number
        )
        stats.ahead = 10 * number
        for line in range(rejected):
            stats.reject(Rejected.TORN, b"%d" % line * 2000)
        return stats

    total = counts(1, 3)
    total.add(counts(2, MAX_SAMPLES))
    total.add(StreamStats())
    samples, total.samples = total.samples, []
    assert [(reason, data[:1], len(data)) for reason, data in samples[:4]] == [
        (Rejected.TORN, first, MAX_SAMPLE_BYTES) for first in (b"0", b"1", b"2", b"0")
    ]
    assert len(samples) == MAX_SAMPLES
    assert (total.ahead, total.rejected) == (20, {Rejected.TORN: 3 + MAX_SAMPLES})
    assert counted(total) == (3, total.rejected, 3, 3, 3, 3)


# ── times ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def timed(time: int | None) -> bytes:
    return json.dumps({"msg": "x"} if time is None else {"msg": "x", "time": time}).encode() + b"\n"


def times_of(events: list[tuple[int | None, int]]) -> tuple[list[int], int]:
    """Return the times of records (own time or none, arrival), and how many were skewed."""
    stream = Stream(options("json"))
    times = [stream.feed(timed(time), arrival)[0].record.time for time, arrival in events]
    return times, stream.take_stats().skewed


def test_a_record_without_a_time_takes_the_previous_one_of_its_stream_else_its_arrival():
    old = ARRIVAL - HOUR
    assert times_of([(None, ARRIVAL), (old, ARRIVAL), (None, ARRIVAL + SECOND)])[0] == [ARRIVAL, old, old]


def test_a_record_without_a_time_that_comes_long_after_the_previous_is_later_by_as_much():
    old, night = ARRIVAL - HOUR, 8 * HOUR
    events = [(old, ARRIVAL), (None, ARRIVAL + MINUTE - 1), (None, ARRIVAL + night), (None, ARRIVAL + night + SECOND)]
    moved = old + night - MINUTE + 1
    assert times_of(events)[0] == [old, old, moved, moved]


def test_the_previous_time_is_remembered_across_a_restart():
    first = Stream(options("json"))
    first.feed(timed(ARRIVAL - HOUR), ARRIVAL)
    second = Stream(options("json"), first.state())
    assert second.feed(timed(None), ARRIVAL + SECOND)[0].record.time == ARRIVAL - HOUR


@pytest.mark.parametrize(("ahead", "skewed"), [(5 * MINUTE, 0), (5 * MINUTE + 1, 1), (24 * HOUR, 1), (-1000 * HOUR, 0)])
def test_a_time_over_five_minutes_ahead_counts_at_arrival_and_is_counted_and_the_past_is_believed(ahead, skewed):
    times, count = times_of([(ARRIVAL + ahead, ARRIVAL), (None, ARRIVAL)])
    assert times == [ARRIVAL if skewed else ARRIVAL + ahead] * 2
    assert count == skewed


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(-24 * 60, 24 * 60), st.sampled_from([0, 1, 59, 60, 61, 3600])), max_size=12
    )
)
def test_times_agree_with_the_rules_written_down_anew(steps):
    now, previous, expected, skewed, events = ARRIVAL, None, [], 0, []
    previous_arrival = 0
    for minutes, passed in steps:
        now += passed * SECOND
        own = None if minutes is None else now + minutes * MINUTE
        events.append((own, now))
        silent = now - previous_arrival
        time = own if own is not None else now if previous is None else previous + (silent if silent >= MINUTE else 0)
        if time - now > 5 * MINUTE:
            time, skewed = now, skewed + 1
        expected.append(time)
        previous, previous_arrival = time, now
    assert times_of(events) == (expected, skewed)


def test_a_joined_record_arrived_with_its_first_line():
    stream = Stream(options())
    stream.feed(b"ERROR x\n", ARRIVAL)
    stream.feed(b"  more\n", ARRIVAL + SECOND // 5)
    (only,) = stream.finish(ARRIVAL + SECOND)
    assert only.arrival == only.record.time == ARRIVAL


def test_a_zoneless_time_that_is_too_far_ahead_tells_by_how_much():
    stream = Stream(options())
    decode(stream, "2026-01-02 05:04:05 INFO x\n")
    stats = stream.take_stats()
    assert (stats.skewed, stats.skewed_zoneless, stats.ahead) == (1, 1, 2 * HOUR)


# ── what is behind a record ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "followed"),
    [
        (b'{"a":1}\n', [False]),
        (b'{"a":1}\n{"a":2}\n', [True, False]),
        (b'{"a":1}\n{"a"', [True]),
        (b'{"a":1}\nnot json\n', [True]),
        (b'{"a":1}\n\n', [True]),
        (b'{"a":1}\n\0\0', [True]),
    ],
)
def test_a_record_knows_whether_bytes_came_behind_it_in_the_same_batch(data, followed):
    assert [one.followed for one in Stream(options("json")).feed(data, ARRIVAL)] == followed


def test_a_record_that_waited_is_followed_by_what_ended_its_wait():
    stream = Stream(options())
    assert stream.feed(b"one\n", ARRIVAL) == []
    assert [one.followed for one in stream.feed(b"two\n", ARRIVAL)] == [True]
    assert [one.followed for one in stream.flush()] == [False]
    stream.feed(b"three\nhalf", ARRIVAL)
    assert [one.followed for one in stream.flush()] == [True]


# ── bounds ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("log_format", FORMATS)
def test_an_overlong_line_is_kept_truncated_and_counted_and_its_neighbours_are_whole(log_format):
    long = b'{"level":"error","msg":"' + b"x" * 3000 + b'","service":"lost"}\n'
    stream = Stream(options(log_format, max_line_bytes=200))
    first, cut, last = decode(stream, FOLLOWER + long + FOLLOWER)
    assert first.record == last.record
    assert cut.record.level.label == "error"
    assert cut.record.message.endswith("x")
    assert len(cut.record.message) <= 200
    assert stream.take_stats().truncated == 1


def test_memory_stays_bounded_by_lines_and_one_join():
    stream = Stream(options(max_line_bytes=1000))
    for _ in range(300):
        stream.feed(b"y" * 997, ARRIVAL)
        assert stream.pending <= 1002
    stream.feed(b"\nERROR x\n", ARRIVAL)
    stream.flush()
    for _ in range(3000):
        stream.feed(b"  and so on, and so on, and so on, and so on\n", ARRIVAL)
        assert stream.pending == 0


def test_a_held_record_is_due_a_quarter_of_a_second_after_its_last_line():
    stream = Stream(options())
    assert stream.flush_due() is None
    stream.feed(b"ERROR x\n", ARRIVAL)
    assert stream.flush_due() == ARRIVAL + JOIN_WAIT == ARRIVAL + SECOND // 4
    stream.feed(b"  more\n", ARRIVAL + 7)
    assert stream.flush_due() == ARRIVAL + 7 + JOIN_WAIT
    stream.flush()
    assert stream.flush_due() is None
