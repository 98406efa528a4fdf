"""What is logged in one story, drawn from a seed, and what must come of it, told by the plainest model there is.

Each application writes to a log of its own, or posts to the daemon; a group of errors belongs to one of them, so that
its order is known. One group is everybody's: what it comes to is known whatever the order, for all of it lies within
the lateness and within one window.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EVERYWHERE = ["pagerduty", "slack", "discord", "webhook"]
OVER = {"resolve": {"when": {"message": "recovered"}}, "channels": EVERYWHERE}
THRESHOLD = 3
RULES: list[dict[str, Any]] = [
    {"ruleName": "Crash", "errorType": "Crash*", "severity": "fatal", **OVER},
    {
        "ruleName": "Spike",
        "errorType": "Spike*",
        "countThreshold": THRESHOLD,
        "timeWindowMinutes": 60,
        "allowed_lateness": "30m",
        **OVER,
    },
    {"ruleName": "Rise", "errorType": "Rise*", **OVER},
]
LOGS = ("alpha", "beta", "gamma")
TAGS = ("north", "south")
SHARED = "everybody"
PAGED = "paged"
"""The service whose incidents people touch in PagerDuty: its numbers depend on when they did."""

Group = tuple[str, str, str]
"""Rule, service, error type."""


@dataclass
class Course:
    """What became of one group so far."""

    waiting: int = 0
    """Counted, and not yet of any incident."""
    count: int = 0
    """Of the open incident."""
    level: str = ""
    ended: list[tuple[int, str]] = field(default_factory=list)
    """Number of matches and highest level of each incident that is over."""

    def match(self, rule: str, level: str) -> None:
        if self.count:
            self.count += 1
        else:
            self.waiting += 1
            if rule != "Spike" or self.waiting == THRESHOLD:
                self.count, self.waiting = self.waiting, 0
        self.level = max(self.level, level)  # `error` before `fatal`

    def over(self) -> None:
        if self.count:
            self.ended.append((self.count, self.level))
            self.count, self.level = 0, ""


class Story:
    """Log lines, and what they mean."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.began = datetime.now(UTC)
        self.records = 0
        self.courses: dict[Group, Course] = {}
        self.written: dict[bytes, Group] = {}
        """By digest of the line, what is a match; those of files."""
        self.posted: dict[bytes, tuple[Group, int]] = {}
        """The same of what was posted, with the number of its batch."""

    def lines(self, source: str) -> list[str]:
        """Return what an application logs next."""
        made = []
        paged = ["Paged"] * 4 if source == LOGS[-1] else []
        for _ in range(self.random.randint(1, 6)):
            kind = self.random.choice(["Crash", "Spike", "Spike", "Rise", "Shared", "noise", *paged])
            if kind == "noise":
                made.append(self.noise(source))
            elif kind == "Shared":
                made.append(self._error(source, "Spike", SHARED, "SpikeShared"))
            elif kind == "Paged":
                made += self._course(source, "Rise", PAGED, f"Rise{self.random.randint(0, 1)}")
            else:
                name = f"{kind}{self.random.randint(0, 1)}"
                made += self._course(source, kind, source, name)
        return made

    def noise(self, source: str) -> str:
        """Return a line that means nothing."""
        return self._line("info", "all is well", service=source)

    def ends(self) -> list[str]:
        """Return the lines that end whatever may be open."""
        return [
            self._recovered(rule, service, name)
            for rule, service, name in [*self.courses, *{group for group, _ in self.posted.values()}]
        ]

    def batch(self, tag: str, number: int) -> list[str]:
        """Return what a sender posts next."""
        return [
            self._error(tag, rule, tag, f"{rule}{self.random.randint(0, 1)}", batch=number)
            for rule in self.random.choices(["Crash", "Spike", "Rise"], k=self.random.randint(1, 4))
        ]

    def _course(self, source: str, rule: str, service: str, name: str) -> list[str]:
        if self.random.random() < 0.3:
            return [self._recovered(rule, service, name)]
        return [self._error(source, rule, service, name)]

    def _error(self, source: str, rule: str, service: str, name: str, batch: int | None = None) -> str:
        level = "fatal" if rule == "Crash" else self.random.choice(["error", "error", "fatal"])
        line = self._line(level, f"{name} of {source}", service=service, error_type=name)
        group = (rule, service, name)
        if batch is None:
            self.written[digest(line)] = group
            self.courses.setdefault(group, Course()).match(rule, level)
        else:
            self.posted[digest(line)] = group, batch
        return line

    def _recovered(self, rule: str, service: str, name: str) -> str:
        course = self.courses.get((rule, service, name))
        if course is not None:
            course.over()
        return self._line("info", "recovered", service=service, error_type=name)

    def _line(self, level: str, message: str, **more: str) -> str:
        self.records += 1
        time = self.began + timedelta(milliseconds=10 * self.records)
        return json.dumps(
            {"time": time.isoformat(), "level": level, "message": message, "number": self.records, **more}
        )

    def incidents(self) -> Counter[tuple[Group, int, str]]:
        """Return what files must have come to."""
        return Counter(
            (group, count, level)
            for group, course in self.courses.items()
            if group[1] != PAGED
            for count, level in course.ended
        )


def digest(line: str) -> bytes:
    """Return what a match says of its line."""
    return hashlib.blake2b(line.encode(), digest_size=16).digest()
