"""Old logs are found and read whatever rotation and compression have made of them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from replay_kit import EPOCH, FATAL, config_of, line, read

from sidecar.core.following import is_rotated_name, unrotated
from sidecar.replay.logs import DamagedError, MissingError, blocks, find

PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".gz", gzip.compress),
    (".zst", zstd.compress),
    (".bz2", bz2.compress),
    (".xz", lzma.compress),
]


@pytest.mark.parametrize(("suffix", "pack"), PACKED, ids=[suffix for suffix, _ in PACKED])
def test_a_compressed_log_is_the_log(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    data = b"".join(line(n) for n in range(5_000))
    (tmp_path / f"app.log.1{suffix}").write_bytes(pack(data))
    (found,) = find([f"{tmp_path}/*"], 0)
    assert b"".join(blocks(found.logs[0])) == data
    assert (found.path, found.source) == (f"{tmp_path}/app.log", f"tail:{tmp_path}/app.log")


def test_what_is_compressed_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(gzip.compress(line(0)))
    (tmp_path / "plain.gz").write_bytes(line(1))
    assert [b"".join(blocks(one.logs[0])) for one in find([str(tmp_path)], 0)] == [line(0), line(1)]


def test_several_gzip_members_and_zstd_frames_are_one_log(tmp_path: Path) -> None:
    for suffix, pack in PACKED:
        path = tmp_path / f"app{suffix}"
        path.write_bytes(pack(line(0)) + pack(line(1)))
        (found,) = find([str(path)], 0)
        assert b"".join(blocks(found.logs[0])) == line(0) + line(1), suffix


@pytest.mark.parametrize(("suffix", "pack"), [PACKED[0], *PACKED[2:]], ids=["gz", "bz2", "xz"])
def test_a_log_whose_packing_lacks_its_end_is_read_to_the_last_byte_that_is_there(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """As one is that is being written, or was when the machine went down."""
    path = tmp_path / f"app.log{suffix}"
    path.write_bytes(pack(line(0))[:-4])
    _, stats = read(config_of(tmp_path, FATAL), path)
    assert (stats.lines, len(stats.problems)) == (1, 1)


@pytest.mark.parametrize(("suffix", "pack"), PACKED[:2], ids=["gz", "zst"])
def test_of_a_torn_file_everything_before_the_damage_is_read(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    noise = (line(n, "info", message=os.urandom(200).hex()) for n in range(5_000))
    data = pack(b"".join([line(0), *noise]))
    path = tmp_path / f"app.log{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedError, match=rf"app\.log{suffix}: cannot be read behind [0-9,]+ bytes"):
        list(blocks(find([str(path)], 0)[0].logs[0]))
    told, stats = read(config_of(tmp_path, FATAL), path)
    assert told[0] == (0.0, "app.log", 1)
    assert stats.lines > 1_000
    assert len(stats.problems) == 1


def test_a_rotated_series_is_one_source_in_the_order_of_time(tmp_path: Path) -> None:
    """However generations are named: here the names alone would put them otherwise."""
    (tmp_path / "app.log").write_bytes(line(40))
    (tmp_path / "app.log.1").write_bytes(line(30))
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(line(20)))
    (tmp_path / "app.log.10.zst").write_bytes(zstd.compress(line(10)))
    (tmp_path / "app-20250615.log").write_bytes(line(0))
    told, stats = read(config_of(tmp_path, FATAL), str(tmp_path / "app*"))
    assert [event for event in told if event[2]] == [(float(10 * n), "app.log", 1) for n in range(5)]
    assert stats.files == 5


def test_the_last_line_of_a_generation_is_whole_also_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").write_bytes(line(0) + line(1).rstrip())
    (tmp_path / "app.log").write_bytes(line(2))
    told, _ = read(config_of(tmp_path, FATAL), f"{tmp_path}/app.log*")
    assert sum(matches for *_, matches in told) == 3


def test_files_directories_and_globs_name_a_file_once(tmp_path: Path) -> None:
    (tmp_path / "in" / "side").mkdir(parents=True)
    (tmp_path / "in" / "a.log").write_bytes(line(0))
    (tmp_path / "in" / "side" / "b.log").write_bytes(line(1))
    (tmp_path / "in" / "side" / ".hidden").write_bytes(line(2))
    (tmp_path / "in" / "system.journal").write_bytes(b"LPKSHHRH\0\0\0\0")
    inside = str(tmp_path / "in")
    found = find([inside, f"{inside}/*.log", f"{inside}/a.log", f"{inside}/**/b.log"], 0)
    assert [one.path for one in found] == [f"{inside}/a.log", f"{inside}/side/b.log"]


@pytest.mark.parametrize("path", ["gone.log", "*.gone", "empty"])
def test_where_there_is_no_log_the_path_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match=r"no log there: expected a file, a directory with logs, a glob, or -"):
        find([str(tmp_path / path)], 0)


def test_a_containers_log_is_its_owners_source_and_names_its_pod(tmp_path: Path) -> None:
    name = tmp_path / f"web-7d4b9c6f5d-x2x9z_shop_app-{'a' * 64}.log"
    name.write_bytes(line(0, service=None, namespace=None))
    rule = {**FATAL, "match": {"namespace": "shop"}}
    told, _ = read(config_of(tmp_path, rule), name)
    (found,) = find([str(name)], 0)
    assert found.source == "k8s:shop/web/app"
    assert told[0] == (0.0, "app", 1)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("app.log", "app.log"),
        ("app.log.1", "app.log"),
        ("app.log.old", "app.log"),
        ("app.log-20250615", "app.log"),
        ("app-20250615.log", "app.log"),
        ("app.log.2025-06-15T10:00:00", "app.log"),
        ("syslog.7", "syslog"),
        ("messages-20250615", "messages"),
        ("0.log.20250615-030405", "0.log"),
        ("worker-2", "worker-2"),
        ("app-2.log", "app-2.log"),
        ("-20250615", "-20250615"),
    ],
)
def test_a_rotated_name_tells_the_name_before(name: str, base: str) -> None:
    assert unrotated(name) == base
    assert base == name or is_rotated_name(base, name)


def test_standard_input_counts_as_written_now() -> None:
    (found,) = find(["-"], EPOCH)
    assert [log.modified for log in found.logs] == [EPOCH]
