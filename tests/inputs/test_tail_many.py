"""Ten thousand logs are all read, whatever number of them may be open at once."""

from __future__ import annotations

import os
from pathlib import Path

from tail_driver import Driver

from sidecar.inputs.tail.holdings import MAX_OPEN_FILES

FILES = 10_000


async def test_every_one_of_ten_thousand_logs_is_read_and_followed_with_few_of_them_open(tmp_path: Path) -> None:
    for number in range(FILES):
        (tmp_path / f"app-{number:05}.log").write_text(f"first {number}\n")
    before = len(os.listdir("/proc/self/fd"))
    driver = Driver(tmp_path)
    assert sorted(await driver.lines()) == sorted(f"first {number}" for number in range(FILES))
    assert driver.events.count == FILES
    assert len(os.listdir("/proc/self/fd")) - before <= MAX_OPEN_FILES
    driver.write("app-00000.log", "second\n")
    driver.write(f"app-{FILES - 1:05}.log", "second\n")
    await driver.grace()
    assert await driver.lines() == ["second", "second"]
    assert driver.losses() == []
    driver.tail.close()
