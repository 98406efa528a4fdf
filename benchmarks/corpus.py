"""Generates log files for the benchmarks: always the same bytes for the same size and seed."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

LEVELS = ("info",) * 90 + ("debug",) * 9 + ("error",)
"""One line in a hundred is an error: busy, but not a storm."""


def json_lines(path: Path, size: int, seed: int = 7) -> int:
    """Write about `size` bytes of JSON lines, about 260 bytes each. Return the number of lines."""
    rng = random.Random(seed)
    lines = 0
    written = 0
    with path.open("w", encoding="utf-8") as file:
        at = 1_790_000_000_000
        while written < size:
            at += rng.randrange(1, 40)
            level = rng.choice(LEVELS)
            record: dict[str, object] = {
                "timestamp": f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z",
                "level": level,
                "service": rng.choice(("checkout", "orders", "search", "login")),
                "host": f"web-{rng.randrange(8)}",
                "message": f"GET /products/{rng.randrange(10**6)} 200 in {rng.random() * 90:.1f} ms",
                "trace_id": f"{rng.getrandbits(128):032x}",
                "user": rng.randrange(10**7),
            }
            if level == "error":
                record["error"] = {"type": rng.choice(("APIError", "TimeoutError", "DatabaseConnectionError"))}
            line = json.dumps(record) + "\n"
            file.write(line)
            written += len(line)
            lines += 1
    return lines
