"""Every request that Fluent Bit was recorded to send is taken, with every record in it."""

from __future__ import annotations

import pytest
from http_world import NOW, RECORDED, World

from sidecar.core.levels import Level

COUNTS = {
    "body_key": 1,
    "date_double": 3,
    "nasty": 13,
    "tailjson": 15,
    "ml_cri": 6,
    "ml_cri_java": 2,
    "ml_docker": 5,
    "otel": 2,
}
"""Records by the beginning of the name, where it is not two."""


def expected(name: str) -> int:
    found = [count for start, count in sorted(COUNTS.items(), key=lambda item: len(item[0])) if name.startswith(start)]
    return found[-1] if found else 2


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.http")))
async def test_a_recorded_request_is_taken_whole(name: str) -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        status, _, _ = await client.send((RECORDED / f"{name}.http").read_bytes())
        await client.close()
    assert status == 200
    assert len(world.judge.matches) == expected(name)


@pytest.mark.parametrize("name", ["fmt_json_zstd", "fmt_msgpack_none", "fmt_json_lines_snappy", "fmt_json_stream_gzip"])
async def test_what_is_in_a_record_does_not_depend_on_how_it_was_sent(name: str) -> None:
    world = World()
    async with world.listening() as listener:
        await (await world.client(listener)).send((RECORDED / f"{name}.http").read_bytes())
    sample = world.judge.matches[0].sample
    assert (sample.level, sample.message) == (Level.ERROR, 'café "q" \\ / <b>\ttab')
    assert '"nest":{"k":"v"}' in sample.line


FIRST = {
    "date_double": ("error", 1795470467_709_140_000, None),
    "date_epoch": ("error", 1795470471_000_000_000, None),
    "date_epoch_ms": ("error", 1795470474_024_000_000, None),
    "date_iso8601": ("error", 1795470477_024_994_000, None),
    "date_java_sql_timestamp": ("error", 1795470480_024_691_000, None),
    "date_key_false": ("error", NOW, None),
    "fmt_gelf_none": ("fatal", 1795470495_013_000_000, None),  # `level: 1` is syslog's alert
    "fmt_json_none": ("error", 1795470519_021_533_000, None),
    "fmt_msgpack_none": ("error", 1795470543_030_722_442, None),
    "meta_gelf": ("error", 1795470558_013_000_000, None),
    "meta_msgpack": ("error", 1795470564_014_151_408, None),
    "envelope_msgpack": ("error", 1795471165_016_604_099, None),
    "ml_cri": ("info", 1767323045_123_456_789, None),
    "ml_cri_java": ("error", 1767323045_100_000_000, "java.lang.RuntimeException"),
    "ml_docker": ("info", 1767323045_123_456_789, None),
    "nasty_msgpack": ("info", 1795470745_141_253_574, None),
    "otel_bodykey": ("error", 1795471141_013_245_818, None),
    "otel_plain": ("info", 1795471129_021_406_666, None),
    "tailjson_json_lines": ("error", NOW, None),  # its date is no time
}
"""Level, time and error type of the first record, as they stand in the request."""


@pytest.mark.parametrize("name", FIRST)
async def test_a_recorded_request_s_first_record_is_what_was_logged(name: str) -> None:
    world = World()
    async with world.listening() as listener:
        await (await world.client(listener)).send((RECORDED / f"{name}.http").read_bytes())
    sample = world.judge.matches[0].sample
    assert (sample.level.label, sample.time, sample.error_type) == FIRST[name]
