"""The example configurations for Fluent Bit, Vector and Fluentd: what they say, and that what they send is taken.

None of these programs is run here. Fluent Bit's requests were recorded (`tests/data/fluent-bit`), the others' are built
as their documentation describes them. Options are checked against the names that their documentation lists.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
import yaml
from http_world import RECORDED, World, post

from sidecar.config.load import load
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level

CONFIG = Path(__file__).parents[3] / "config"
FLUENT_BIT = CONFIG / "fluent-bit"

KNOWN = {
    # docs.fluentbit.io: administration/configuring-fluent-bit/yaml/service-section, buffering-and-storage, scheduling
    "service": {
        *("flush", "log_level", "storage.path", "storage.sync", "storage.max_chunks_up", "storage.backlog.mem_limit"),
        *("scheduler.base", "scheduler.cap"),
        # administration/dead-letter-queue
        *("storage.keep.rejected", "storage.rejected.limit"),
    },
    # pipeline/inputs/tail
    "tail": {
        *("name", "tag", "path", "path_key", "exclude_path", "db", "multiline.parser", "buffer_max_size"),
        *("skip_long_lines", "refresh_interval", "read_from_head", "storage.type"),
    },
    # pipeline/inputs/systemd
    "systemd": {"name", "tag", "db", "read_from_tail", "storage.type"},
    # pipeline/filters/grep
    "grep": {"name", "match", "exclude"},
    # pipeline/filters/multiline-stacktrace
    "multiline": {"name", "match", "multiline.key_content", "multiline.parser", "emitter_storage.type"},
    # pipeline/filters/kubernetes
    "kubernetes": {
        *("name", "match", "kube_tag_prefix", "buffer_size", "merge_log", "keep_log", "labels", "annotations"),
    },
    # pipeline/outputs/http, administration/transport-security, buffering-and-storage, scheduling-and-retries
    "http": {
        *("name", "match", "host", "port", "uri", "format", "compress", "header_tag", "header", "log_response_payload"),
        *("tls", "tls.verify", "tls.verify_hostname", "tls.ca_file", "retry_limit", "storage.total_limit_size"),
    },
    # pipeline/outputs/opentelemetry
    "opentelemetry": {
        *("name", "match", "host", "port", "logs_uri", "logs_body_key", "logs_body_key_attributes", "batch_size"),
        *("compress", "header", "log_response_payload", "retry_limit", "storage.total_limit_size"),
    },
}
PARSER = "(docker|cri|java|python|go|ruby)"
"""Built-in multiline parsers: pipeline/parsers/multiline-parsing."""

SIZE, BOOLEAN, NUMBER, PATH = r"\d+[KMG]?", "true|false", r"\d+", r"/[\w./*-]+"
VALUES = {
    **dict.fromkeys(("storage.backlog.mem_limit", "storage.rejected.limit", "storage.total_limit_size"), SIZE),
    **dict.fromkeys(("buffer_max_size", "buffer_size"), SIZE),
    **dict.fromkeys(("storage.keep.rejected", "skip_long_lines", "read_from_head", "read_from_tail"), BOOLEAN),
    **dict.fromkeys(("merge_log", "keep_log", "labels", "annotations", "logs_body_key_attributes"), BOOLEAN),
    **dict.fromkeys(("tls", "tls.verify", "tls.verify_hostname", "log_response_payload"), BOOLEAN),
    **dict.fromkeys(("flush", "scheduler.base", "scheduler.cap", "storage.max_chunks_up"), NUMBER),
    **dict.fromkeys(("refresh_interval", "port", "batch_size"), NUMBER),
    **dict.fromkeys(("storage.path", "path", "db", "uri", "logs_uri", "tls.ca_file"), PATH),
    **dict.fromkeys(("storage.type", "emitter_storage.type"), "memory|filesystem"),
    "log_level": "off|error|warn|info|debug|trace",
    "storage.sync": "normal|full",
    "multiline.parser": f"{PARSER}(, {PARSER})*",
    "format": "json|json_lines|json_stream|msgpack|gelf",
    "compress": "gzip|snappy|zstd",
    "retry_limit": r"no_limits|no_retries|\d+",
}
"""What the same pages allow; the rest is text."""

MAX_CHUNK = 2_500_000
"""Bytes: about 2 MB, and what is appended last (administration/buffering-and-storage)."""

Section = tuple[str, dict[str, str]]


def classic(text: str) -> list[Section]:
    """Read Fluent Bit's classic form."""
    sections: list[Section] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            assert line.endswith("]"), line
            sections.append((line[1:-1].lower(), {}))
        else:
            assert line.startswith("    "), f"not indented: {line}"
            key, value = line.split(maxsplit=1)
            assert key not in sections[-1][1], f"twice: {line}"
            sections[-1][1][key] = value
    return sections


def modern(text: str) -> list[Section]:
    """Read Fluent Bit's YAML form as if it were the classic one."""
    document = yaml.safe_load(text)
    pipeline = document["pipeline"]
    found = [("service", document["service"])]
    found += [(kind[:-1], one) for kind in ("inputs", "filters", "outputs") for one in pipeline.get(kind, ())]
    return [(kind, {key: as_text(value) for key, value in options.items()}) for kind, options in found]


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


EXAMPLES = sorted(path.stem for path in FLUENT_BIT.glob("*.yaml"))


def test_there_are_examples() -> None:
    assert EXAMPLES == ["host", "kubernetes", "opentelemetry"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_both_forms_of_an_example_say_the_same(name: str) -> None:
    assert classic((FLUENT_BIT / f"{name}.conf").read_text()) == modern((FLUENT_BIT / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_option_is_one_that_fluent_bit_documents(name: str) -> None:
    for kind, options in modern((FLUENT_BIT / f"{name}.yaml").read_text()):
        plugin = options.get("name", kind)
        assert options.keys() <= KNOWN[plugin], plugin
        for key, value in options.items():
            assert re.fullmatch(VALUES.get(key, ".+"), value), f"{key} {value}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_default_that_loses_logs_is_left(name: str) -> None:
    """docs/fluent-bit.md says what each of them does."""
    sections = modern((FLUENT_BIT / f"{name}.yaml").read_text())
    outputs = [options for kind, options in sections if kind == "output"]
    inputs = [options for kind, options in sections if kind == "input"]
    service = dict(sections)["service"]
    assert outputs
    for options in outputs:
        assert options["retry_limit"] == "no_limits"
        assert "storage.total_limit_size" in options
        assert options["compress"] == "gzip"
        assert options["log_response_payload"] == "false"
        assert options["header"] == "Authorization Bearer ${INGEST_TOKEN}"
        checks = {options.get(key) for key in ("tls", "tls.verify", "tls.verify_hostname")}
        assert options["host"] == "127.0.0.1" or checks == {"true"}
        if options["name"] == "opentelemetry":  # several requests for a chunk: some may be lost, some counted twice
            assert int(options["batch_size"]) * len(event({"log": ""}, 0)) > MAX_CHUNK
        else:
            assert options["header_tag"]
    for options in inputs:
        assert options["storage.type"] == "filesystem"
        assert options["db"]
        assert options["tag"].endswith(".*"), "or all files, or units, are one source"
        if options["name"] == "tail":
            assert (options["skip_long_lines"], options["read_from_head"]) == ("true", "true")
            assert int(options["refresh_interval"]) <= 5
    assert len({options["db"] for options in inputs}) == len(inputs)
    assert service["storage.path"]
    assert service["storage.keep.rejected"] == "true"
    assert "storage.rejected.limit" in service


def test_no_example_sends_the_log_of_what_sends_it() -> None:
    """An error about a page would become a page, and a chunk that is refused a record of the next one."""
    (exclude,) = (
        options["exclude"]
        for kind, options in modern((FLUENT_BIT / "host.yaml").read_text())
        if options.get("name") == "grep"
    )
    field, pattern = exclude.split(" ", 1)
    assert field == "_SYSTEMD_UNIT"
    units = ("luminalog-sidecar.service", "fluent-bit.service", "fluent-bit-2.service", "nginx.service")
    assert [bool(re.search(pattern, unit)) for unit in units] == [True, True, False, False]
    tail = next(options for kind, options in modern((FLUENT_BIT / "kubernetes.yaml").read_text()) if kind == "input")
    assert [Path(path).name for path in tail["exclude_path"].split(", ")] == [
        "*_luminalog-sidecar-*.log",  # pod_namespace_container-id: by the container, whatever the release is called
        "*_fluent-bit-*.log",
    ]


def test_the_multiline_filter_is_the_first() -> None:
    """It hands joined records to the head of the pipeline: filters before it would see them twice."""
    for name in EXAMPLES:
        filters = [
            options["name"] for kind, options in modern((FLUENT_BIT / f"{name}.yaml").read_text()) if kind == "filter"
        ]
        assert "multiline" not in filters[1:]


def test_the_tag_s_header_is_the_one_that_the_daemon_s_example_reads() -> None:
    loaded = load(
        CONFIG / "http.yaml", {"INGEST_TOKEN": "token", "SLACK_URL": "https://hooks.slack.com/services/T/B/x"}
    )
    assert loaded.config is not None
    headers = {
        options["header_tag"]
        for name in EXAMPLES
        for _, options in modern((FLUENT_BIT / f"{name}.yaml").read_text())
        if "header_tag" in options
    }
    assert headers == {loaded.config.inputs[0].tag_header}  # type: ignore[union-attr]


def event(record: dict[str, Any], time: float) -> bytes:
    """Return an event as Fluent Bit's msgpack has it. `time`: seconds since the epoch."""
    stamp = struct.pack(">II", int(time), int(time % 1 * 1_000_000_000))
    return cast(bytes, msgpack.packb([[msgpack.ExtType(0, stamp), {}], record]))


async def taken(raw: bytes, **settings: Any) -> World:
    """Send a request with the token, and have it taken."""
    world = World(tokens=(Secret("token"),), tag_header="X-Fluent-Tag", **settings)
    async with world.listening() as listener:
        client = await world.client(listener)
        assert (await client.send(raw))[0] == 200
        await client.close()
    return world


async def test_what_the_kubernetes_example_sends_arrives_with_tag_pod_and_level() -> None:
    """msgpack, gzip, the tag in its header, the filter's map, the application's own fields beside `log`."""
    pod = "orders-7d4b9c6f5d-x2x4z"
    tag = f"kube.var.log.containers.{pod}_shop_app-{'0123456789abcdef' * 4}.log"
    record = {
        "log": '{"severity":"FATAL","message":"it broke","error":{"type":"E"}}',
        "severity": "FATAL",
        "message": "it broke",
        "error": {"type": "E"},
        "stream": "stderr",
        "kubernetes": {"pod_name": pod, "namespace_name": "shop", "container_name": "app", "labels": {}},
    }
    body = event(record, 1_795_470_519.5)
    headers = {"Authorization": "Bearer token", "X_Fluent_Tag": tag, "Content_Encoding": "gzip"}
    world = await taken(post(gzip.compress(body), "/ingest", Content_Type="application/msgpack", **headers))
    ((batch, _),) = world.judge.decided
    sample = world.judge.matches[0].sample
    assert batch.source == "http:http/k8s:shop/orders/app"
    assert (sample.level, sample.error_type, sample.service) == (Level.FATAL, "E", "app")
    assert sample.time == 1_795_470_519_500_000_000


@pytest.mark.parametrize(
    ("tag", "record", "told"),
    [
        (
            "journal.nginx.service",
            {"_SYSTEMD_UNIT": "nginx.service", "PRIORITY": "3", "MESSAGE": "it broke", "_HOSTNAME": "h1"},
            (Level.ERROR, "nginx.service", "h1", None, "it broke"),
        ),
        (
            "app.var.log.app.orders.log",
            {
                "file": "/var/log/app/orders.log",
                "log": "FATAL it broke\njava.io.IOException: disk\n\tat a.B.c(B.java:1)",
            },
            (
                Level.FATAL,
                None,
                None,
                "java.io.IOException",
                "FATAL it broke\njava.io.IOException: disk\n\tat a.B.c(B.java:1)",
            ),
        ),
    ],
)
async def test_what_the_host_example_sends_arrives(tag: str, record: dict[str, str], told: tuple[Any, ...]) -> None:
    """The journal's own fields, and a file's lines with their stack trace; each unit and file a source of its own."""
    body = event(record, 1_795_470_519.5)
    headers = {"Authorization": "Bearer token", "X_Fluent_Tag": tag, "Content_Encoding": "gzip"}
    world = await taken(post(gzip.compress(body), "/ingest", Content_Type="application/msgpack", **headers))
    ((batch, _),) = world.judge.decided
    sample = world.judge.matches[0].sample
    assert batch.source == f"http:http/{tag}"
    assert (sample.level, sample.service, sample.host, sample.error_type, sample.message) == told
    assert sample.time == 1_795_470_519_500_000_000


async def test_what_the_opentelemetry_example_sends_keeps_all_fields() -> None:
    recorded = (RECORDED / "otel_bodykey.http").read_bytes()
    world = await taken(recorded.replace(b"Authorization: Basic dTpw", b"Authorization: Bearer token"))
    sample = world.judge.matches[0].sample
    assert (sample.level, sample.message) == (Level.ERROR, "hello é")


def test_vector_s_example_keeps_what_could_not_be_sent() -> None:
    sink = yaml.safe_load((CONFIG / "senders" / "vector.yaml").read_text())["sinks"]["luminalog"]
    assert (sink["encoding"], sink["framing"]) == ({"codec": "json"}, {"method": "newline_delimited"})
    assert (sink["buffer"]["type"], sink["buffer"]["when_full"]) == ("disk", "block")
    assert sink["acknowledgements"] == {"enabled": True}
    assert sink["uri"].startswith("http://127.0.0.1:9880/ingest/")


async def test_what_vector_sends_is_taken() -> None:
    """Lines of JSON, gzip, a field `message` that may hold JSON itself."""
    inner = json.dumps({"level": "fatal", "msg": "it broke", "service": "orders"})
    events = [
        {"file": "/var/log/app/a.log", "host": "h1", "message": text, "source_type": "file", "timestamp": stamp}
        for text, stamp in ((inner, "2026-11-23T21:47:57.024994123Z"), ("ERROR it broke", "2026-11-23T21:47:58Z"))
    ]
    body = "".join(json.dumps(event) + "\n" for event in events).encode()
    headers = {"Authorization": "Bearer token", "Content_Encoding": "gzip", "Content_Type": "application/x-ndjson"}
    world = await taken(post(gzip.compress(body), "/ingest/app", **headers))
    samples = [match.sample for match in world.judge.matches]
    assert [(one.level, one.host, one.message) for one in samples] == [
        (Level.FATAL, "h1", "it broke"),
        (Level.ERROR, "h1", "ERROR it broke"),
    ]
    assert samples[0].service == "orders"


def test_fluentd_s_example_keeps_what_could_not_be_sent() -> None:
    text = (CONFIG / "senders" / "fluentd.conf").read_text()
    for line in ("retry_forever true", "retry_max_interval 30s", "@type file", "overflow_action block", "method basic"):
        assert f"  {line}\n" in text
    assert "retryable_response_codes 408,429,500,502,503,504" in text


async def test_what_fluentd_sends_is_taken() -> None:
    """Lines of JSON behind basic authentication, the tag in the path."""
    body = b'{"level":"error","message":"it broke","time":"2026-11-23T21:47:57.024994123Z"}\n'
    headers = {"Authorization": "Basic Zmx1ZW50ZDp0b2tlbg==", "Content_Type": "application/x-ndjson"}
    world = await taken(post(body, "/ingest/app.orders", **headers))
    ((batch, _),) = world.judge.decided
    assert (batch.source, world.judge.matches[0].sample.level) == ("http:http/app.orders", Level.ERROR)


async def test_a_file_sent_by_curl_is_taken_as_lines() -> None:
    """`curl --data-binary` says that it sends a form."""
    body = b'{"level":"error","message":"one"}\n2026-11-23 21:47:57 ERROR two\n'
    form = {"Authorization": "Bearer token", "Content_Type": "application/x-www-form-urlencoded"}
    world = await taken(post(body, "/ingest/app", **form))
    assert [match.sample.message for match in world.judge.matches] == ["one", "two"]
