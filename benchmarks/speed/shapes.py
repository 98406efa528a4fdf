"""Log lines in every shape that the daemon reads, always the same for the same seed.

Each function makes one record from random numbers, its time and its level, and returns it with the line breaks it
takes. A record that is wanted is at error or fatal, and shows it the way loggers of its shape do; everything else is
what keeps such logs busy. Times begin in June 2025 and go forward, so that no record is ahead of the clock.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

START = 1_750_000_000_000
"""Milliseconds since the epoch."""

SERVICES = ("checkout", "orders", "search", "login")
ERRORS = ("APIError", "TimeoutError", "DatabaseConnectionError")

Line = Callable[[random.Random, int, str], str]


@lru_cache(64)
def _moment(seconds: int, form: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def _time(at: int, form: str, fraction: str = ".%03d") -> str:
    return _moment(at // 1000, form) + fraction % (at % 1000)


def _iso(at: int) -> str:
    return _time(at, "%Y-%m-%dT%H:%M:%S") + "Z"


def _request(rng: random.Random) -> str:
    return f"GET /products/{rng.randrange(10**6)} 200 in {rng.random() * 90:.1f} ms"


def _failure(rng: random.Random) -> str:
    return f"request {rng.randrange(10**6)} failed: upstream timed out after {rng.randrange(1, 60)} s"


def _message(rng: random.Random, level: str) -> str:
    return _failure(rng) if level in ("error", "fatal") else _request(rng)


def structured(
    rng: random.Random, at: int, level: str, *, message: str = "", groups: int = 0, number: int = -1
) -> dict[str, object]:
    """Return a record. `groups`: spread errors over so many; `number`: into the group of that number."""
    record: dict[str, object] = {
        "timestamp": _iso(at),
        "level": level,
        "service": rng.choice(SERVICES),
        "host": f"web-{rng.randrange(8)}",
        "message": message or _message(rng, level),
        "trace_id": f"{rng.getrandbits(128):032x}",
        "user": rng.randrange(10**7),
        "version": "2025.6.1-4c1f0de",
    }
    if level in ("error", "fatal"):
        record["error"] = {"type": rng.choice(ERRORS)}
        if number < 0 and groups:
            number = rng.randrange(groups)
        if number >= 0:
            record["service"] = f"service-{number // 10}"
            record["error"] = {"type": f"Failure{number % 10}Error"}
    return record


def json_line(rng: random.Random, at: int, level: str) -> str:
    return json.dumps(structured(rng, at, level)) + "\n"


NOISE = (
    "no error found in batch {}, 0 fatal",
    "retry policy: on_error=backoff for job {}",
    "GET /errors/{} 200, error budget left 99.2 %",
    "flushed {} records (errors: 0, fatal: 0)",
)


def noisy_json(rng: random.Random, at: int, level: str) -> str:
    """As `json_line`, but more than a third of what is harmless speaks of errors."""
    noisy = level not in ("error", "fatal") and rng.random() < 0.36
    message = rng.choice(NOISE).format(rng.randrange(10**6)) if noisy else ""
    return json.dumps(structured(rng, at, level, message=message)) + "\n"


def cri(rng: random.Random, at: int, level: str) -> str:
    """A line as containerd writes it; one in fifty is cut in two."""
    text = json.dumps(structured(rng, at, level))
    head = f"{_time(at, '%Y-%m-%dT%H:%M:%S')}000000Z stdout"
    if rng.random() < 0.02:
        cut = rng.randrange(120, len(text))
        return f"{head} P {text[:cut]}\n{head} F {text[cut:]}\n"
    return f"{head} F {text}\n"


def docker(rng: random.Random, at: int, level: str) -> str:
    inner = json.dumps(structured(rng, at, level), separators=(",", ":")) + "\n"
    outer = {"log": inner, "stream": "stdout", "time": f"{_time(at, '%Y-%m-%dT%H:%M:%S')}000000Z"}
    return json.dumps(outer, separators=(",", ":")) + "\n"


def logfmt(rng: random.Random, at: int, level: str) -> str:
    bad = f" error_type={rng.choice(ERRORS)}" if level in ("error", "fatal") else ""
    return (
        f"ts={_iso(at)} level={level} caller=handler.go:{rng.randrange(900)} service={rng.choice(SERVICES)}"
        f' host=web-{rng.randrange(8)} msg="{_message(rng, level)}"{bad} trace_id={rng.getrandbits(128):032x}'
        f" duration={rng.random():.6f}\n"
    )


PINO = {"debug": 20, "info": 30, "error": 50, "fatal": 60}


def pino(rng: random.Random, at: int, level: str) -> str:
    record: dict[str, object] = {
        "level": PINO[level],
        "time": at,
        "pid": 17,
        "hostname": f"web-{rng.randrange(8)}",
        "name": rng.choice(SERVICES),
        "reqId": f"{rng.getrandbits(64):016x}",
        "msg": _message(rng, level),
        "responseTime": round(rng.random() * 90, 3),
        "req": {"method": "GET", "url": f"/products/{rng.randrange(10**6)}", "remotePort": rng.randrange(1024, 65536)},
    }
    if level in ("error", "fatal"):
        kind = rng.choice(ERRORS)
        stack = f"{kind}: {record['msg']}\n    at get (/app/http.js:41:11)\n    at run (/app/index.js:7:3)"
        record["err"] = {"type": kind, "message": record["msg"], "stack": stack}
    return json.dumps(record, separators=(",", ":")) + "\n"


def text(rng: random.Random, at: int, level: str) -> str:
    """A line of a Java service; what is wanted brings its stack trace."""
    service = rng.choice(SERVICES)
    head = f"{_time(at, '%Y-%m-%d %H:%M:%S')} {level.upper():5} [worker-{rng.randrange(16)}] c.e.{service}.Handler - "
    line = f"{head}{_message(rng, level)}\n"
    if level in ("error", "fatal"):
        frames = (f"\tat com.example.{service}.Step{n}.run(Step{n}.java:{rng.randrange(999)})\n" for n in range(12))
        line += f"com.example.{rng.choice(ERRORS)}: order {rng.randrange(10**6)} is gone\n{''.join(frames)}"
    return line


KLOG = {"debug": "I", "info": "I", "error": "E", "fatal": "F"}


def klog(rng: random.Random, at: int, level: str) -> str:
    bad = level in ("error", "fatal")
    what = f'"Failed to sync pod" err="{_failure(rng)}"' if bad else f'"Synced pod" duration="{rng.random():.4f}s"'
    return (
        f"{KLOG[level]}{_time(at, '%m%d %H:%M:%S')}{rng.randrange(1000):03d} {rng.randrange(1, 99999):7d}"
        f' controller.go:{rng.randrange(900)}] {what} pod="default/web-{rng.randrange(999)}"'
        f' uid="{rng.getrandbits(64):x}"\n'
    )


def system(rng: random.Random, at: int, level: str) -> str:
    """What the services of one host write side by side: syslog, nginx, PostgreSQL, a kernel."""
    host, pid, client = (
        f"node-{rng.randrange(4)}",
        rng.randrange(300, 32000),
        f"10.0.{rng.randrange(9)}.{rng.randrange(250)}",
    )
    if level in ("error", "fatal"):
        nginx, postgres = ("error", "ERROR") if level == "error" else ("crit", "FATAL")
        if rng.random() < 0.5:
            return (
                f"{_moment(at // 1000, '%Y/%m/%d %H:%M:%S')} [{nginx}] {pid}#{pid}: *{rng.randrange(10**6)} connect()"
                f" failed (111: Connection refused) while connecting to upstream, client: {client}, server: shop\n"
            )
        return f"{_time(at, '%Y-%m-%d %H:%M:%S')} UTC [{pid}] {postgres}:  {_failure(rng)}\n"
    kind, syslog = rng.random(), _moment(at // 1000, "%b %e %H:%M:%S")
    if kind < 0.5:
        stamp = _moment(at // 1000, "%d/%b/%Y:%H:%M:%S +0000")
        path = rng.choice(("", "error-pages/", "static/"))
        return f'{client} - - [{stamp}] "GET /{path}{rng.randrange(10**6)} HTTP/1.1" 200 {pid} "-" "curl/8.5.0"\n'
    if kind < 0.7:
        return f"{syslog} {host} sshd[{pid}]: Accepted publickey for deploy from {client} port {pid} ssh2: ED25519\n"
    if kind < 0.8:
        return f"{syslog} {host} CRON[{pid}]: (root) CMD (test -x /usr/sbin/anacron || run-parts /etc/cron.hourly)\n"
    if kind < 0.9:
        port = f"docker0: port {pid % 9}(veth{pid:x})"
        return f"{syslog} {host} kernel: [{at % 10**6}.{pid:06d}] {port} entered blocking state\n"
    return f"{_time(at, '%Y-%m-%d %H:%M:%S')} UTC [{pid}] LOG:  checkpoint complete: wrote {pid} buffers (1.2%)\n"


class Shape(NamedTuple):
    """One kind of log."""

    name: str
    line: Line
    format: str
    """What an input would declare."""
    pattern: str
    """RE2 that finds exactly the wanted records, each once."""
    jq: str = ""
    """The same for jq; empty where a line is no JSON object that says so itself."""
    bears_json: bool = False


_WORDS = '.level == "error" or .level == "fatal"'
_JSON_LEVEL = '"level": ?"(error|fatal)"'

SHAPES = (
    Shape("JSON", json_line, "json", _JSON_LEVEL, _WORDS, True),
    Shape("noisy JSON", noisy_json, "json", _JSON_LEVEL, _WORDS, True),
    Shape("pino", pino, "json", '"level":(50|60),', ".level >= 50", True),
    Shape("CRI", cri, "cri", _JSON_LEVEL, "", True),
    Shape("docker", docker, "docker", r"\\\"level\\\":\\\"(error|fatal)", "", True),
    Shape("logfmt", logfmt, "logfmt", " level=(error|fatal) "),
    Shape("text", text, "text", r" (ERROR|FATAL) +\[worker"),
    Shape("klog", klog, "text", r"^[EF]\d\d\d\d "),
    Shape("system", system, "text", r"\[(error|crit)\]|\] (ERROR|FATAL): "),
)
