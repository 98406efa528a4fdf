"""Runs the real daemon as its own process on the measured core."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.speed.child import MEASURED, ROOT, pin
from benchmarks.speed.settings import ERRORS, Settings, write

PATIENCE = 60.0


class Daemon:
    """One process, which listens once it is here."""

    def __init__(self, config: Path, *, listens: bool) -> None:
        """`listens`: wait until an HTTP input does."""
        self.directory = config.parent
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run", "--config", str(config)],
            cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: pin(MEASURED),
        )  # fmt: skip
        self.admin = self.address = ""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            event = json.loads(line)
            self.admin = self.admin or event.get("admin", "")
            self.address = self.address or event.get("address", "")
            if self.admin and (self.address or not listens):
                break
        else:
            raise SystemExit(f"the daemon did not start: {config.read_text()}")
        threading.Thread(target=self._process.stderr.read, daemon=True).start()  # so that it never waits for us

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a metric that have these labels."""
        with urllib.request.urlopen(f"{self.admin}/metrics") as response:
            text = response.read().decode()
        total = 0.0
        for found in re.finditer(rf"^luminalog_{name}(?:\{{(.*)\}})? (\S+)$", text, re.M):
            have = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if labels.items() <= have.items():
                total += float(found[2])
        return total

    @property
    def matches(self) -> float:
        """Records at error or above that it has found."""
        return self.metric("rule_matches_total", rule=ERRORS)

    def memory(self, name: str) -> float:
        """Return a figure of the kernel's, such as `VmHWM`, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB", status, re.M)
        assert found is not None
        return int(found[1]) / 1024

    def wait(self, holds: Callable[[], bool], pause: float = 0.2, patience: float = PATIENCE) -> None:
        """Wait until something holds. Raises if nothing changes that."""
        until = time.monotonic() + patience
        while not holds():
            if time.monotonic() > until or self._process.poll() is not None:
                raise SystemExit("the daemon does not get there")
            time.sleep(pause)

    def end(self) -> None:
        """End it at once: nothing that it holds is wanted any more."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def running(configure: Callable[[Path], Settings], directory: Path, *, listens: bool = False) -> Iterator[Daemon]:
    """Run a daemon. `configure`: given a directory for its files and its state."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        config = write(Path(name) / "sidecar.json", configure(Path(name)))
        daemon = Daemon(config, listens=listens)
        try:
            yield daemon
        finally:
            daemon.end()


def http_input(form: str, **more: Any) -> Settings:
    """Return an input that listens where there is room."""
    return {"type": "http", "listen": "127.0.0.1:0", "format": form, **more}
