"""Objects are cut out of a body as a parser would find them, wherever it is torn and whatever stands between them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode.json_split import Element, JsonSplitter

LARGE = 10_000


def split(blocks: list[bytes], max_bytes: int = LARGE) -> tuple[list[Element], bytes]:
    splitter = JsonSplitter(max_bytes)
    elements = [element for block in blocks for element in splitter.feed(block)]
    last, torn = splitter.finish()
    return elements + last, torn


def by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


text = st.text(max_size=6) | st.sampled_from(
    ["},", '},{"', "}},{", "a{b", '"', "\\", '\\"', "[", "]]", "{{{", "\n", ", "]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(text, values, max_size=4)
spaces = st.sampled_from([b"", b"", b" ", b"\n", b"\r\n\t", b"\0", b"\xef\xbb\xbf"])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, list[object]]:
    """Return a body, and what stands in it: objects in arrays or behind one another, and in arrays other values."""
    data, found = draw(spaces), []
    for _ in range(draw(st.integers(0, 3))):
        items = draw(st.lists(objects | scalars, max_size=5))
        pretty, ascii_only = draw(st.sampled_from([None, 1])), draw(st.booleans())
        if draw(st.booleans()):
            data += json.dumps(items, indent=pretty, ensure_ascii=ascii_only).encode("utf-8", "replace")
        else:
            items = [item for item in items if isinstance(item, dict)]
            for item in items:
                data += json.dumps(item, indent=pretty, ensure_ascii=ascii_only).encode("utf-8", "replace")
                data += draw(spaces)
        found += items
        data += draw(spaces)
    return data, found


@settings(max_examples=150, deadline=None)
@given(bodies(), st.lists(st.integers(0, 5000), max_size=4))
def test_every_value_is_found_whole_at_once_byte_by_byte_and_torn_anywhere(body, cuts):
    data, values = body
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    for blocks in ([data], by_byte(data), [data[a:b] for a, b in pairwise(edges)]):
        elements, torn = split(blocks)
        assert [json.loads(element.data) for element in elements] == values
        assert (torn, any(element.cut for element in elements)) == (b"", False)


def lenient(data: bytes) -> list[object]:
    """Return the objects that a parser finds at the places where one may begin, in order."""
    found, at, body = [], 0, data.decode()
    while (at := body.find("{", at)) >= 0:
        try:
            value, at = json.JSONDecoder().raw_decode(body, at)
        except ValueError:
            return found
        found.append(value)
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(objects, max_size=4), st.booleans(), st.integers(0, 5000))
def test_of_a_torn_body_the_objects_before_the_tear_are_found_and_its_end_is_handed_back(items, array, cut):
    data = json.dumps(items).encode() if array else b"".join(json.dumps(item).encode() for item in items)
    data = data[: cut % (len(data) + 1)]
    for blocks in ([data], by_byte(data)):
        elements, torn = split(blocks)
        whole = [json.loads(element.data) for element in elements]
        assert whole == lenient(data)
        assert torn == b"" or (data.endswith(torn) and torn.startswith(b"{"))


bad = st.sampled_from(
    [b"NaN", b"{bad}", b"{'a':1}", b'{"a":NaN}', b'{"a":1]}', b"}", b'"', b"x", b'"a{b"', b'"\\', b"tru", b":", b'"x"y']
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 9).map(lambda n: {"good": n}) | bad, max_size=8), st.sampled_from([b",", b"\n", b",\n"]))
def test_what_is_no_json_between_objects_costs_no_object_and_is_found_alike_however_it_is_torn(items, separator):
    parts = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
    # An open quote reaches as far as the end of its line.
    parts = [part + b"\n" if part in (b'"', b'"\\') else part for part in parts]
    data = b"[" + separator.join(parts) + b"]"
    whole = split([data])
    assert split(by_byte(data)) == whole
    found = [element.data for element in whole[0]]
    good = [part for part in parts if part.startswith(b'{"good"')]
    assert [element for element in found if element.startswith(b'{"good"')] == good


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ \n1a', max_size=60).map(str.encode), st.integers(3, 80))
def test_no_bytes_raise_and_what_is_cut_out_does_not_depend_on_where_they_are_torn(data, longest):
    whole = split([data], longest)
    assert split(by_byte(data), longest) == whole
    assert all(len(element.data) <= longest for element in whole[0])


@pytest.mark.parametrize("array", [b"[%s]", b"%s"])
def test_an_object_that_is_too_long_is_cut_and_its_neighbours_are_whole(array):
    long = b'{"a":"' + b"x" * 200 + b'"}'
    separator = b"," if array != b"%s" else b""
    data = array % separator.join([b'{"b":1}', long, b'{"c":1}'])
    for blocks in ([data], by_byte(data)):
        assert split(blocks, 100) == (
            [Element(b'{"b":1}'), Element(long[:100], cut=True), Element(b'{"c":1}')],
            b"",
        )


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 10**6,
        b'{"a":' * 10**5,
        b'[{"a":"' + b"\\" * 10**6,
        b'"' + b"x" * 10**6,
        b'["' + b"},{" * 10**5,
        b"\0" * 10**6,
        b'[{"a":[' + b'{"b":1},' * 10**5,
        b'" ' * 10**5,
        b'{"a":"},{"}' * 10**5,
    ],
    ids=range(9),
)
def test_hostile_bodies_take_linear_time_and_bounded_memory(data):
    splitter = JsonSplitter(1000)
    for at in range(0, len(data), 10_000):
        splitter.feed(data[at : at + 10_000])
        assert len(splitter._buffer) + len(splitter._object) <= 1000 + 10_000
    splitter.finish()
