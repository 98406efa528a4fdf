"""Every request that Fluent Bit was recorded to send is taken, with every record in it."""

from __future__ import annotations

import pytest
from http_world import RECORDED, World

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
