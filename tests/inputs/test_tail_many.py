"""Ten thousand logs are all read, whatever number of them may be open at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tail_driver import Driver

FILES = 10_000


@pytest.mark.parametrize("most_open", [100, None], ids=["few may be open", "as many as usual"])
async def test_every_one_of_ten_thousand_logs_is_read_and_followed(tmp_path: Path, most_open: int | None) -> None:
    for number in range(FILES):
        (tmp_path / f"app-{number:05}.log").write_text(f"first {number}\n")
    driver = Driver(tmp_path)
    if most_open is not None:
        driver.max_open_files = most_open
        driver.restart()
    before = len(os.listdir("/proc/self/fd"))
    assert sorted(await driver.lines()) == sorted(f"first {number}" for number in range(FILES))
    assert driver.events.count == FILES
    if most_open is not None:
        assert len(os.listdir("/proc/self/fd")) - before <= most_open
    driver.write("app-00000.log", "second\n")
    driver.write(f"app-{FILES - 1:05}.log", "second\n")
    await driver.grace()
    assert await driver.lines() == ["second", "second"]
    driver.restart()
    driver.write("app-05000.log", "third\n")
    assert await driver.lines() == ["third"]
    assert driver.losses() == []
    driver.tail.close()
