"""What containers print comes out as if no runtime had wrapped it, each of stdout and stderr by itself."""

from __future__ import annotations

import json

import pytest
from decode_kit import ARRIVAL, FOLLOWER, FORMATS, SAMPLES, counted, cri, decode, docker, options, record, records, seen
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode.containers import container_of
from sidecar.core.decode.stream import Decoded, Stream
from sidecar.core.decode.text import JOIN_WAIT, MAX_JOIN
from sidecar.core.fields import lookup
from sidecar.core.levels import Level
from sidecar.core.times import SECOND

LINES = sorted({line for sample in SAMPLES.values() for line in sample.split(b"\n")} | {FOLLOWER[:-1], b"", b"  "})


def wrap(style: str, pieces: list[tuple[str, bytes, bool]]) -> list[bytes]:
    """Return the lines that a runtime makes of pieces: (stream, text, whether its line ends there)."""
    if style == "cri":
        return [cri(text, stream, "F" if ends else "P") for stream, text, ends in pieces]
    return [docker(text + b"\n" * ends, stream) for stream, text, ends in pieces]


@st.composite
def printed(draw: st.DrawFn) -> tuple[dict[str, list[bytes]], list[tuple[str, bytes, bool]]]:
    """Return what a container prints on each stream, and the pieces in which its runtime sees that."""
    lines = {name: draw(st.lists(st.sampled_from(LINES), max_size=8)) for name in ("stdout", "stderr")}
    queues: dict[str, list[tuple[str, bytes, bool]]] = {}
    for name, whole in lines.items():
        queues[name] = []
        for line in whole:
            at = 0
            for cut in (
                sorted(draw(st.sets(st.integers(1, max(1, len(line) - 1)), max_size=2))) if len(line) > 1 else []
            ):
                queues[name].append((name, line[at:cut], False))
                at = cut
            queues[name].append((name, line[at:], True))
    pieces = []
    while any(queues.values()):
        name = draw(st.sampled_from([name for name, queue in queues.items() if queue]))
        pieces.append(queues[name].pop(0))
    return lines, pieces


def said(decoded: list[Decoded]) -> list[tuple[object, ...]]:
    """Return what a record says wherever it was printed."""
    return [
        (
            one.record.level,
            one.record.message,
            one.record.error_type,
            one.record.root_cause,
            one.record.stack,
            one.record.line,
        )
        for one in decoded
    ]


@settings(max_examples=200, deadline=None)
@given(printed(), st.sampled_from(["cri", "docker"]), st.booleans(), st.sampled_from([70, 2**20]), st.data())
def test_each_streams_records_are_those_of_what_was_printed_there(container, style, declared, longest, data):
    lines, pieces = container
    wrapped = wrap(style, pieces)
    # What the wrapping adds must not be what makes a line too long.
    longest = max(longest, *map(len, wrapped)) if wrapped else longest
    reading = options(style if declared else "auto", max_line_bytes=longest)
    stream = Stream(reading)
    restart = data.draw(st.integers(0, len(wrapped)))
    found = []
    for number, line in enumerate(wrapped):
        if number == restart:
            stream = Stream(reading, stream.state())
        found += stream.feed(line, ARRIVAL)
    found += stream.finish(ARRIVAL)
    for name, whole in lines.items():
        plain = Stream(options(max_line_bytes=longest))
        expected = decode(plain, b"".join(line + b"\n" for line in whole))
        assert said([one for one in found if one.record.fields["stream"] == name]) == said(expected)


@pytest.mark.parametrize(
    ("log_format", "wrapping"), [("auto", cri), ("cri", cri), ("auto", docker), ("docker", docker)]
)
def test_the_wrappings_time_and_stream_stand_in_for_what_a_record_has_not_got(log_format, wrapping):
    line = "ERROR x" + "\n" * (wrapping is docker)
    found = record(wrapping(line, "stderr", time="2026-01-02T03:04:01.5Z"), log_format)
    assert (found.time, found.level, found.message) == (ARRIVAL - 7 * SECOND // 2, Level.ERROR, "x")
    assert (found.line, lookup(found, "stream")) == ("ERROR x", "stderr")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02 03:04:02 ERROR x", ARRIVAL - 3 * SECOND),
        ('{"ts":1767323043,"level":"error","stream":"mine"}', ARRIVAL - 2 * SECOND),
        ("ts=1767323043 level=error stream=mine", ARRIVAL - 2 * SECOND),
        ('2026-01-02 03:04:02 ERROR {"stream":"mine"}', ARRIVAL - 3 * SECOND),
        ('{"level":"error","stream":"mine"}', ARRIVAL - 4 * SECOND),
    ],
)
def test_what_the_application_says_itself_takes_precedence(text, time):
    for line in (cri(text, time="2026-01-02T03:04:01Z"), docker(text + "\n", time="2026-01-02T03:04:01Z")):
        found = record(line)
        assert (found.time, found.level) == (time, Level.ERROR)
        assert found.fields["stream"] == ("mine" if "mine" in text else "stdout")


def test_dockers_attributes_are_fields():
    assert lookup(record(docker("x\n", attrs={"tag": "blue"})), "attrs.tag") == "blue"


def test_a_joined_record_has_the_time_of_its_first_line():
    (found,) = records(cri("ERROR x", time="2026-01-02T03:04:01Z") + cri("  more", time="2026-01-02T03:04:02Z"))
    assert (found.time, found.message) == (ARRIVAL - 4 * SECOND, "x\n  more")


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-02T03:04:05Z stdout X FATAL x",
        "2026-01-02T03:04:05Z stdin F FATAL x",
        "2026-01-02T03:04:05Z stdout",
        "2026-01-02T03:04:05 stdout F FATAL x",
        '{"log":"FATAL x\\n","stream":"stdout","time":"2026-01-02T03:04:05Z","more":1}',
        '{"log":"FATAL x\\n","stream":["stdout"]}',
        '{"log":"FATAL x\\nmore\\n","stream":"stdout"}',
        '{"log":7,"stream":"stdout","level":"fatal"}',
        "FATAL x",
        '{"level":"fatal"}',
    ],
)
@pytest.mark.parametrize("log_format", ["auto", "cri", "docker"])
def test_what_is_not_wrapped_is_read_as_it_is(line, log_format):
    found = records(FOLLOWER + line.encode() + b"\n" + FOLLOWER, log_format)
    assert [one.message for one in (found[0], found[-1])] == ["good neighbour"] * 2
    (only,) = found[1:-1]
    assert ("FATAL x" in only.line) == ("FATAL x" in line)
    assert (only.level is Level.FATAL) == (line.startswith(("FATAL", "{")))


def test_a_file_may_change_its_mind_at_any_line():
    log = (
        b"ERROR one\n" + cri("ERROR two") + docker("ERROR three\n") + FOLLOWER + b"level=error msg=four\n" + cri("five")
    )
    stream = Stream(options())
    found = [one.record.message for line in log.splitlines(keepends=True) for one in stream.feed(line, ARRIVAL)]
    assert sorted(found + [one.record.message for one in stream.flush()]) == [
        "five",
        "four",
        "good neighbour",
        "one",
        "three",
        "two",
    ]


# ── pieces ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def pieces(style: str, *texts: str, stream: str = "stdout") -> list[bytes]:
    """Return one line in pieces."""
    return wrap(style, [(stream, text.encode(), text is texts[-1]) for text in texts])


STYLES = pytest.mark.parametrize("style", ["cri", "docker"])


@STYLES
def test_an_object_in_pieces_is_whole_even_where_a_character_is_torn(style):
    line = '{"level":"fatal","msg":"caf\u00e9"}'
    assert record(b"".join(pieces(style, line[:9], line[9:20], line[20:]))).message == "caf\u00e9"
    torn = line.encode()
    assert record(cri(torn[:28], tag="P") + cri(torn[28:])).message == "caf\u00e9"


@STYLES
@pytest.mark.parametrize("rest", ["FATAL no connection", "  no connection"])
def test_a_line_that_does_not_end_waits_as_long_as_any_other_and_its_rest_is_a_record_of_its_own(style, rest):
    begin, end = pieces(style, "WARN connecting ", rest)
    stream = Stream(options())
    assert stream.feed(begin, ARRIVAL) == []
    assert stream.flush_due() == ARRIVAL + JOIN_WAIT
    assert [one.record.message for one in stream.flush(ARRIVAL + JOIN_WAIT)] == ["connecting"]
    assert stream.feed(end, ARRIVAL + SECOND) == []
    assert [one.record.line for one in stream.finish(ARRIVAL)] == [rest]


@STYLES
def test_a_trickle_of_pieces_does_not_hold_a_record_back(style):
    stream = Stream(options())
    (piece, _) = pieces(style, "ERROR x", "")
    for number in range(12):
        stream.feed(piece, ARRIVAL + number * JOIN_WAIT // 2)
    assert stream.flush_due() <= ARRIVAL + MAX_JOIN


@STYLES
def test_the_members_of_an_object_that_lacks_its_end_are_read(style):
    stream = Stream(options())
    stream.feed(pieces(style, '{"level":"fatal","msg":"dying wo', "rds")[0], ARRIVAL)
    (found,) = stream.flush()
    assert (found.record.level, found.record.fields["msg"]) == (Level.FATAL, "dying wo")


@STYLES
def test_a_line_too_long_in_all_is_kept_truncated_and_counted_once_and_its_neighbours_are_whole(style):
    long = ['{"level":"error","msg":"' + "x" * 100, *["x" * 100] * 50, '"}']
    stream = Stream(options(max_line_bytes=300))
    data = b"".join([*pieces(style, "INFO one"), *pieces(style, *long), *pieces(style, "INFO two")])
    first, found, last = decode(stream, data)
    assert (found.record.level, found.record.message) == (Level.ERROR, "x" * (300 - 24))
    assert (first.record.message, last.record.message) == ("one", "two")
    assert stream.take_stats().truncated == 1


def test_a_piece_that_is_itself_cut_does_not_count_twice():
    stream = Stream(options(max_line_bytes=60))
    found = decode(stream, cri("x" * 25, tag="P") * 2 + cri("x" * 100, tag="P") + cri("lost") + cri("next"))
    assert [one.record.message for one in found] == ["x" * 60, "next"]
    assert stream.take_stats().truncated == 1


def test_what_follows_an_object_that_is_cut_is_not_taken_for_its_rest():
    cut = b'{"stream":"stdout","log":"' + b"x" * 200 + b'\\n"}\n'
    found = records(cut + docker("two\n"), max_line_bytes=100)
    assert [one.message for one in found] == ["x" * 74, "two"]


@pytest.mark.parametrize("text", ["ERROR one", "ERROR " + "x" * 80])
def test_what_is_missing_behind_a_hole_is_not_waited_for(text):
    found = records(cri(text, tag="P") + b"\0" * 100 + cri("INFO two"), max_line_bytes=80)
    assert [(one.level, one.message[:3]) for one in found] == [(Level.ERROR, text[6:9]), (Level.INFO, "two")]


def test_memory_is_bounded_by_a_line_and_a_join_for_each_stream():
    stream = Stream(options(max_line_bytes=1000))
    for number in range(5000):
        name = ("stdout", "stderr")[number % 2]
        stream.feed(cri("  and so on" if number > 1 else "ERROR x", name) + cri("y" * 100, name, "P"), ARRIVAL)
        assert len(stream.state()) < 2 * (1000 + 70_000) + 1000


# ── stdout and stderr ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_is_due_is_flushed():
    stream = Stream(options())
    stream.feed(cri("ERROR one"), ARRIVAL)
    stream.feed(cri("ERROR two", "stderr"), ARRIVAL + 1)
    first = stream.flush(ARRIVAL + JOIN_WAIT)
    assert [(one.record.message, one.followed) for one in first] == [("one", True)]
    assert stream.flush_due() == ARRIVAL + 1 + JOIN_WAIT
    stream.feed(cri("  more", "stderr"), ARRIVAL + 2)
    assert [one.record.message for one in stream.flush()] == ["two\n  more"]


@pytest.mark.parametrize("last", ["stdout", "stderr"])
def test_of_records_that_waited_only_that_with_the_last_line_has_nothing_behind_it(last):
    other = {"stdout": "stderr", "stderr": "stdout"}[last]
    stream = Stream(options())
    stream.feed(cri("one", last) + cri("two", other) + cri("  more", last), ARRIVAL)
    assert [(one.record.fields["stream"], one.followed) for one in stream.flush()] == [(other, True), (last, False)]


@pytest.mark.parametrize(
    ("data", "followed"),
    [
        (cri('{"a":1}'), [False]),
        (cri('{"a":1}') + cri("x", "stderr", "P"), [True]),
        (cri("one") + cri('{"a":1}'), [True, False]),
        (cri("one") + cri("two"), [True]),
        (cri('{"a":', tag="P") + cri("1}"), [False]),
        (b"one\n" + cri("two", tag="P"), [True]),
    ],
)
def test_a_wrapped_record_knows_whether_bytes_came_behind_it_in_the_same_batch(data, followed):
    assert [one.followed for one in Stream(options()).feed(data, ARRIVAL)] == followed


# ── where a stream stands ─────────────────────────────────────────────────────────────────────────────────────────────

WEB = container_of("/var/log/pods/shop_web-1_" + "a" * 32 + "/nginx/0.log")
CONTENT = [
    "ERROR x",
    '{"level":"error"}',
    'level=error msg="x"',
    '2026-01-02 03:04:05 ERROR {"a":1}',
    "a.BError: x\n\tat c.D(E.java:1)",
]


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("content", CONTENT)
def test_the_fields_around_a_stream_stand_in_for_what_its_records_have_not_got(log_format, content):
    lines = content.split("\n")
    plain = (content + "\n").encode()
    for data in (plain, b"".join(map(cri, lines)), b"".join(docker(line + "\n") for line in lines)):
        found = [one.record for one in decode(Stream(options(log_format), around=WEB.fields()), data)]
        for one in found:
            assert one.service == lookup(one, "kubernetes.container_name") == "nginx"
            assert lookup(one, "Kubernetes.pod_name") == "web-1"
        assert log_format != "auto" or [one.level for one in found] == [Level.ERROR]


@pytest.mark.parametrize(
    ("fields", "service", "pod"),
    [
        ({"service": "own"}, "own", "web-1"),
        ({"kubernetes": {"labels": {"app": "shop"}}}, "shop", "web-1"),
        ({"Kubernetes": {"pod_name": "other"}}, "nginx", "other"),
        ({"kubernetes": "text"}, "nginx", None),
    ],
)
def test_what_a_record_has_itself_is_not_overridden_and_maps_are_completed(fields, service, pod):
    around = WEB.fields()
    (found,) = decode(Stream(options("json"), around=around), json.dumps(fields) + "\n")
    assert (found.record.service, lookup(found.record, "kubernetes.pod_name")) == (service, pod)
    assert around == WEB.fields()


@pytest.mark.parametrize("log_format", FORMATS)
def test_host_and_environment_may_stand_around_too(log_format):
    (found,) = decode(Stream(options(log_format), around={"host": "node-1", "env": "prod"}), '{"a":"x"}\n')
    assert (found.record.host, found.record.environment) == ("node-1", "prod")


# ── hostile wrappings ─────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([cri("ERROR x"), cri("x", tag="P"), docker("x", "stderr"), docker("ERROR x\n")]), max_size=6
    ),
    st.lists(st.tuples(st.integers(0, 1000), st.binary(max_size=3)), max_size=4),
    st.sampled_from(["auto", "cri", "docker"]),
)
def test_no_damage_to_wrapped_lines_raises_or_takes_a_neighbour_along(lines, damages, log_format):
    damaged = b"".join(lines)
    for at, damage in damages:
        at %= len(damaged) + 1
        damaged = damaged[:at] + damage + damaged[at + len(damage) :]
    whole = Stream(options(log_format))
    found = decode(whole, damaged + b"\n" + FOLLOWER)
    assert "good neighbour" in {one.record.message for one in found}
    torn = Stream(options(log_format))
    by_byte = [one for byte in damaged + b"\n" + FOLLOWER for one in torn.feed(bytes([byte]), ARRIVAL)]
    assert seen(by_byte + torn.finish(ARRIVAL)) == seen(found)
    assert counted(torn.take_stats()) == counted(whole.take_stats())


@pytest.mark.parametrize(
    "data",
    [
        cri("", tag="P") * 20_000,
        cri("x", tag="P") * 20_000,
        cri("x" * 1000, tag="P") * 3000,
        docker("\\" * 1000) * 500,
        (cri("ERROR x", "stdout") + cri("ERROR x", "stderr")) * 3000,
        cri("  " * 30_000) * 3,
        b"2026-01-02T03:04:05Z stdout F:" + b"x" * 100_000 + b" x\n",
        b"2026-01-02T03:04:05." + b"9" * 100_000 + b"Z stdout F x\n",
    ],
    ids=range(8),
)
def test_many_or_long_pieces_take_linear_time(data):
    stream = Stream(options())
    assert "good neighbour" in [one.record.message for one in decode(stream, data + cri("", tag="F") + FOLLOWER)]
