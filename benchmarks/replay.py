"""How fast a file goes through the whole pipeline, beside other ways to go through the same file.

Every way runs in turn, `--rounds` times, on the same file with a warm page cache; the table shows the median, the
spread, and the ratio to reading the file and counting its newlines in Python. Only the ratios carry over to other
machines.

    make bench ARGS="--megabytes 200 --rounds 7"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.corpus import json_lines
from sidecar.config.load import load
from sidecar.config.ruleset import ruleset_of
from sidecar.core.advance import Engine
from sidecar.core.quarantine import Quarantine
from sidecar.inputs.tail import TailFiles
from sidecar.inputs.tail.report import TailReport
from sidecar.pipeline import Pipeline
from sidecar.store.store import Store
from sidecar.telemetry.telemetry import Telemetry

CONFIG = """
inputs:
  - {{type: tail, paths: ["{log}"], start_at: beginning}}
channels:
  slack: {{type: slack, webhook_url: "http://127.0.0.1:9/services/T0/B0/x"}}
rules:
  - {{ruleName: errors, severity: error, channels: [slack], countThreshold: 50, timeWindowMinutes: 5}}
  - {{ruleName: fatals, severity: fatal, channels: [slack]}}
state_dir: {state}
"""

BLOCK = 1 << 20


def count_newlines(path: Path) -> int:
    lines = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
    return lines


def wc(path: Path) -> int:
    return int(subprocess.run(["wc", "-l", str(path)], capture_output=True, check=True).stdout.split()[0])


def json_loads(path: Path) -> int:
    lines = 0
    with path.open("rb") as file:
        for line in file:
            record = json.loads(line)
            lines += 1
            if record["level"] in ("error", "fatal", "panic"):
                record["error"]["type"]
    return lines


def pipeline(path: Path) -> int:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_pipeline(path, Path(directory)))


async def _pipeline(path: Path, directory: Path) -> int:
    file = directory / "sidecar.yaml"
    file.write_text(CONFIG.format(log=path, state=directory / "state"))
    loaded = load(file, {})
    assert loaded.config is not None, loaded.problems
    config = loaded.config
    telemetry = Telemetry()
    telemetry.configure(rules=["errors", "fatals"], channels=["slack"], inputs=["tail"])
    store = Store(directory / "state", time.time_ns)
    stored = store.load()
    store.start()
    main = Pipeline(
        engine=Engine(stored.snapshot),
        store=store,
        telemetry=telemetry,
        clock=time.time_ns,
        admit=lambda entries, incidents: None,
        last_entry=0,
        last_moment=0,
        quarantine=Quarantine([], config.quarantine_max),
    )
    main.reconfigure(ruleset_of(config))
    tail = TailFiles(config.inputs[0], positions={}, clock=time.time_ns, events=TailReport(telemetry, "tail"))
    await tail.drain(main)
    await main.settled()
    await store.close()
    return round(telemetry.value("luminalog_records_decoded_total", input="tail"))


WAYS: dict[str, Callable[[Path], int]] = {
    "read and count newlines (Python)": count_newlines,
    "wc -l": wc,
    "json.loads loop": json_loads,
    "whole pipeline with store": pipeline,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "app.log"
        lines = json_lines(path, args.megabytes * 10**6)
        size = path.stat().st_size / 1e6
        count_newlines(path)
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(args.rounds):
            for name, way in WAYS.items():
                started = time.perf_counter()
                found = way(path)
                seconds[name].append(time.perf_counter() - started)
                if found != lines:
                    raise SystemExit(f"{name}: {found} lines instead of {lines}")
    print(f"{size:.0f} MB of JSON in {lines:,} lines; {args.rounds} rounds; Python {platform.python_version()}")
    print("| way | MB/s | thousand lines/s | spread | against counting newlines | against json.loads |")
    print("|---|---|---|---|---|---|")
    baseline = statistics.median(seconds["read and count newlines (Python)"])
    loads = statistics.median(seconds["json.loads loop"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        spread = (max(taken) - min(taken)) / middle
        noisy = " (noisy)" if spread > 0.25 else ""
        print(
            f"| {name} | {size / middle:,.0f} | {lines / middle / 1000:,.0f} | {spread:.0%}{noisy}"
            f" | {baseline / middle:.3f} | {loads / middle:.2f} |"
        )


if __name__ == "__main__":
    main()
