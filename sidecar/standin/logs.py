"""Writes application logs such as a small shop would: calm traffic, and two failures on request.

Two files in two formats: JSON lines (a web service) and plain text with tracebacks (a Python worker).
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

ROUTES = ("/cart", "/checkout", "/orders", "/products", "/login")

TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/srv/shop/orders/worker.py", line 51, in run',
    "    store.save(order)",
    '  File "/srv/shop/orders/store.py", line 88, in save',
    "    with self._pool.acquire(timeout=5) as connection:",
    "DatabaseConnectionError: Failed to connect to database: connection timeout",
)


class LogWriter:
    """Appends to `web.log` (JSON) and `worker.log` (text) in a directory. `now` is Unix time in seconds."""

    def __init__(self, directory: Path, seed: int = 1) -> None:
        self.web = directory / "web.log"
        self.worker = directory / "worker.log"
        self._random = random.Random(seed)  # noqa: S311 - made-up traffic, nothing to guess

    def calm(self, now: float) -> None:
        """Write what a healthy moment logs."""
        route = self._random.choice(ROUTES)
        took = round(self._random.lognormvariate(3.2, 0.5), 1)
        self._json(now, "info", f"GET {route} 200", route=route, status=200, took_ms=took)
        self._text(now, "INFO", f"order {self._random.randrange(10_000, 99_999)} stored in {took} ms")

    def api_error(self, now: float) -> None:
        """Write one failed call of the payment provider."""
        error = {"type": "APIError", "message": "payment provider answered 502"}
        trace = f"{self._random.getrandbits(128):032x}"
        self._json(now, "error", "payment failed", error=error, trace_id=trace, status=502)

    def database_error(self, now: float) -> None:
        """Write one lost database connection, with its stack trace and a password nobody should see."""
        dsn = "postgres://orders:hunter2@db-1.internal/orders"
        self._text(now, "CRITICAL", f"cannot save order via {dsn}", *TRACEBACK)

    def _json(self, now: float, level: str, message: str, **fields: object) -> None:
        record = {
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "service": "checkout",
            "environment": "production",
            "host": "web-1",
            "message": message,
            **fields,
        }
        self._append(self.web, json.dumps(record))

    def _text(self, now: float, level: str, message: str, *more: str) -> None:
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        self._append(self.worker, f"{stamp} - shop.orders - {level} - {message}", *more)

    def _append(self, path: Path, *lines: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
