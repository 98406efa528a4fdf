"""The namespace of a record: said by itself, by what it was wrapped in, or by the path of its container's log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decode_kit import ARRIVAL, decode, options

from sidecar.core.decode.containers import container_of
from sidecar.core.decode.stream import Stream
from sidecar.core.fields import lookup

POD = "/var/log/pods/shop_orders-7d4b9c6f5d-x2x4z_0a1b2c3d-1111-2222-3333-444455556666/app/0.log"


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({"namespace": "a", "kubernetes": {"namespace_name": "b"}}, "a"),
        ({"kubernetes": {"namespace_name": "b", "namespace": "c"}}, "b"),
        ({"kubernetes.namespace_name": "b"}, "b"),
        ({"k8s.namespace.name": "c", "kubernetes": {"namespace": "d"}}, "c"),
        ({"k8s": {"namespace": {"name": "c"}}}, "c"),
        ({"Kubernetes": {"Namespace": "d"}}, "d"),
        ({"kubernetes": {"namespace": {"name": "e"}}}, "e"),
        ({"namespace": {"name": "x"}, "namespace_name": "f"}, "f"),
        ({"namespace": "", "kubernetes": {"namespace": 7}}, "7"),
        ({"kubernetes": {"pod_name": "p"}}, None),
    ],
)
def test_a_record_says_its_namespace_under_one_of_these_keys(fields: dict[str, Any], namespace: str | None) -> None:
    data = json.dumps({"message": "m", **fields}).encode() + b"\n"
    whole, torn = Stream(options()), Stream(options())
    found = [*decode(whole, data + b'{"message":"behind"}'), *(x for n in data for x in torn.feed(bytes([n]), ARRIVAL))]
    assert [one.record.namespace for one in found] == [namespace, None, namespace]
    assert lookup(found[0].record, "namespace") == lookup(found[0].record, "Namespace") == namespace


def namespaces(line: str, log_format: str) -> list[str | None]:
    """Decode a line of a container's log."""
    container = container_of(POD)
    assert container is not None
    stream = Stream(options(log_format), None, container.fields())
    return [one.record.namespace for one in decode(stream, line + "\n")]


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        ("cri", "2026-01-02T03:04:05.0Z stderr F plain text"),
        ("cri", '2026-01-02T03:04:05.0Z stderr F {"message":"in JSON"}'),
        ("docker", '{"log":"level=error msg=logfmt\\n","stream":"stderr","time":"2026-01-02T03:04:05Z"}'),
        ("text", "2026-01-02 03:04:05 ERROR plain text"),
        ("json", '{"message":"m"}'),
        ("logfmt", "level=error msg=m"),
    ],
)
def test_a_containers_log_has_the_namespace_of_its_path_in_every_format(log_format: str, line: str) -> None:
    assert namespaces(line, log_format) == ["shop"]


def test_a_records_own_namespace_wins_over_its_paths() -> None:
    assert namespaces('{"namespace":"own","message":"m"}', "json") == ["own"]
