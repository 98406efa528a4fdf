"""What applications and log rotation do to a directory, on the disk and in a model that knows what everything was.

The model decides by what lies on the disk, and by nothing that the input does: a complete line that stands, when the
daemon looks, in the file at the path, in a file that was there at an earlier look of the same process, or in a rotated
file beside it, must be committed once. See `World.readable`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from tail_driver import Driver

from sidecar.core.following import HEAD_BYTES
from sidecar.core.times import SECOND

RECORD = re.compile(r"(\d{6})\.*")


def ids(text: str) -> set[str]:
    """Return the records in some text."""
    return set(RECORD.findall(text))


def whole(text: str) -> str:
    """Return the complete lines of some text."""
    return text[: text.rfind("\n") + 1]


class File:
    """A file, under whatever name or none."""

    def __init__(self) -> None:
        self.text = ""
        self.history = [""]
        """All that it ever held, a text for each time that it was emptied."""
        self.seen: str | None = None
        """What it held when the daemon last found it at a path; None: never, as far as a crashed daemon may know."""
        self.saved: str | None = None
        """The same, as the store knows it."""
        self.left = False
        """The daemon has seen that it is not at a path."""
        self.old = False
        """Left its path so long ago that nobody need expect more in it."""

    def put(self, text: str) -> None:
        self.text += text
        self.history[-1] += text

    def empty(self) -> None:
        self.text = ""
        self.seen = self.seen and ""
        self.saved = self.saved and ""
        self.history.append("")


Namer = Callable[["World", str], str]
"""Makes way for a file that is to be rotated away from a path, and says under which name."""


def numbered(world: World, path: str) -> str:
    """`app.log.1`, the older ones moving up."""
    number = 1
    while f"{path}.{number}" in world.files:
        number += 1
    for old in range(number - 1, 0, -1):
        world.rename(f"{path}.{old}", f"{path}.{old + 1}")
    return f"{path}.1"


def dated(world: World, path: str) -> str:
    """`app.log-20240101`."""
    return f"{path}-{world.day()}"


def dated_middle(world: World, path: str) -> str:
    """`app-20240101.log`."""
    return f"{path.removesuffix('.log')}-{world.day()}.log"


def stamped(world: World, path: str) -> str:
    """`0.log.20240101-000000`, as the kubelet does."""
    return f"{path}.{world.day()}-000000"


def only_one(world: World, path: str) -> str:
    """`app.log.1`, overwriting the one before: `rotate 1`."""
    if f"{path}.1" in world.files:
        world.unlink(f"{path}.1")
    return f"{path}.1"


SCHEMES: dict[str, Namer] = {
    "numbered": numbered,
    "dated": dated,
    "dated in the middle": dated_middle,
    "stamped": stamped,
    "only one": only_one,
}


class App:
    """An application that appends to a log, and goes on appending to that file until it opens the path again."""

    def __init__(self, name: str) -> None:
        self.name = name
        """Its log's path, perhaps a symbolic link."""
        self.file: File | None = None
        self.fd = -1
        self.last: File | None = None
        """Into which something was written last."""
        self.containers = 0


class World:
    """A directory, its applications, and what the daemon ought to have read."""

    def __init__(self, driver: Driver, names: list[str], scheme: str, *, link: bool, holds: bool) -> None:
        self.driver = driver
        self.root = driver.root
        self.scheme = SCHEMES[scheme]
        self.link = link
        self.holds = holds
        """The daemon has descriptors enough to keep files open."""
        self.apps = [App(name) for name in names]
        self.files: dict[str, File] = {}
        """By real path, relative to the root."""
        self.every: list[File] = []
        self.away = False
        self.denied = False
        self.hindered = False
        """Files could not be read or found for a while, or were written to out of turn: order cannot be expected."""
        self.held: set[File] = set()
        self.must: set[str] = set()
        self.late: set[str] = set()
        """Written to a file that nobody need expect more in."""
        self.forgotten: set[str] = set()
        """Read so long ago, and so short, that it may be read again."""
        self.inodes: set[int] = set()
        """Of files that the daemon may have seen."""
        self.accountable: set[str] = set()
        """Destroyed in a file that the daemon knew."""
        self.destroyed = False
        self._record = 0
        self._day = 0
        (self.root / "logs").mkdir()
        for app in self.apps:
            self.restart_container(app)

    def close(self) -> None:
        for app in self.apps:
            if app.fd >= 0:
                os.close(app.fd)

    # Names.

    def day(self) -> str:
        self._day += 1
        return f"2024{1 + self._day // 28:02}{1 + self._day % 28:02}"

    def target(self, app: App) -> str:
        """Return where an application's log really is."""
        if not self.link:
            return f"logs/{app.name}"
        return f"pods/{app.name.removesuffix('.log')}/{app.containers}.log"

    def there(self, app: App) -> File | None:
        """Return the file at an application's path."""
        return None if self.away else self.files.get(self.target(app))

    def _stamp(self, path: str) -> None:
        self.driver.stamp(path)

    # What applications do.

    def write(self, app: App, text: str) -> None:
        """Append to the file that the application has open; `+` stands for a record."""
        if app.file is None:
            if self.away:
                return
            self.reopen(app)
        assert app.file is not None
        text = re.sub(r"\+", lambda _: self._next(), text)
        if app.file.old:
            self.late |= ids(text) | ids(app.file.text.rpartition("\n")[2])
        if app.last is not None and self.every.index(app.last) > self.every.index(app.file):
            self.hindered = True
        app.last = app.file
        app.file.put(text)
        os.write(app.fd, text.encode())
        self.driver.now += SECOND // 1000
        os.utime(app.fd, ns=(self.driver.now, self.driver.now))

    def _next(self) -> str:
        self._record += 1
        return f"{self._record:06}" + "." * (self._record % 3)

    def reopen(self, app: App) -> None:
        """Open the path, creating the file if there is none."""
        if self.away:
            return
        if app.fd >= 0:
            os.close(app.fd)
        path = self.target(app)
        new = path not in self.files
        app.fd = os.open(self.root / path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if new:
            self.files[path] = File()
            self.every.append(self.files[path])
            self._stamp(path)
        app.file = self.files[path]

    def restart_container(self, app: App) -> None:
        """Point the link at a new file; the old one stays as it is. Without a link: just open the log."""
        if self.link and not self.away:
            app.containers += 1
            target, link = self.root / self.target(app), self.root / "logs" / app.name
            target.parent.mkdir(parents=True, exist_ok=True)
            self.reopen(app)
            link.with_suffix(".tmp").symlink_to(target)
            link.with_suffix(".tmp").rename(link)
        else:
            self.reopen(app)

    # What rotation does.

    def rename(self, old: str, new: str) -> None:
        assert new not in self.files
        self.driver.rename(old, new)
        self.files[new] = self.files.pop(old)

    def rotate(self, app: App) -> None:
        path = self.target(app)
        self.rename(path, self.scheme(self, path))

    def create(self, app: App) -> None:
        """Create an empty log, as `logrotate` does for the application."""
        path = self.target(app)
        (self.root / path).touch()
        self.files[path] = File()
        self.every.append(self.files[path])
        self._stamp(path)

    def copy(self, app: App) -> None:
        path = self.target(app)
        new = self.scheme(self, path)
        self.driver.copy(path, new)
        self.files[new] = File()
        self.every.append(self.files[new])
        self.files[new].put(self.files[path].text)
        if (self.root / new).stat().st_ino in self.inodes:
            # It cannot be told from a file that was known to be empty and is gone: such a copy may be read again.
            self.forgotten |= ids(self.files[path].text)

    def truncate(self, app: App) -> None:
        path = self.target(app)
        self._destroy(self.files[path])
        self.driver.truncate(path)
        self.files[path].empty()

    def rewrite(self, app: App, text: str) -> None:
        """Put other content in the place of what a file holds, in one step: as if its inode had been used again."""
        path = self.target(app)
        file = self.files[path]
        self._destroy(file)
        file.empty()
        app.last = file
        file.put(re.sub(r"\+", lambda _: self._next(), text))
        fd = os.open(self.root / path, os.O_RDWR)
        os.pwrite(fd, file.text.encode(), 0)
        os.ftruncate(fd, len(file.text))
        os.close(fd)
        self._stamp(path)

    def unlink(self, path: str) -> None:
        file = self.files.pop(path)
        self.destroyed = True
        if file not in self.held:
            self._destroy(file)
        (self.root / path).unlink()

    def compress(self, app: App) -> None:
        """Compress the oldest rotated file."""
        path = self.target(app)
        stem = path.removesuffix(".log")
        rotated = [name for name in self.files if name.startswith(stem) and name != path]
        if rotated and not self.away:
            oldest = min(rotated, key=lambda name: (self.root / name).stat().st_mtime_ns)
            self.unlink(oldest)
            (self.root / f"{oldest}.gz").write_bytes(b"\x1f\x8b compressed")

    def move_directory(self) -> None:
        """Let the directory vanish, or come back."""
        one, other = self.root / "logs", self.root / "elsewhere"
        if self.away:
            other.rename(one)
        else:
            one.rename(other)
        self.away = not self.away
        self.hindered = True

    def _destroy(self, file: File) -> None:
        others = "".join(other.text for other in self.files.values() if other is not file)
        self.destroyed = self.destroyed or not ids(file.text) <= ids(others)
        if file.left:
            # What comes into it now is nobody's log, until it is seen at the path again.
            self.held.discard(file)
        # One that was empty when it was seen may have been touched for all that anyone can tell.
        if file.seen:
            self.accountable |= ids(whole(file.text)) - ids(others) - self.late

    # What the daemon ought to know.

    def readable(self) -> set[str]:
        """Return the records that the daemon has to read if it looks now."""
        text = "".join(whole(file.text) for file in self.held)
        if not self.away and not self.denied:
            text += "".join(whole(file.text) for path, file in self.files.items() if self._findable(path, file))
        return ids(text) - self.late

    def at_hand(self) -> set[str]:
        """Return those of them that stand in files at the paths, or that it has open."""
        files = {self.there(app) for app in self.apps} | self.held
        return ids("".join(whole(file.text) for file in files if file is not None)) - self.late

    def _findable(self, path: str, file: File) -> bool:
        """Whether a file is where, or what, the daemon knows: targets of a link that it never saw have any name."""
        current = {self.target(app).rpartition(".")[0] for app in self.apps}
        return not self.link or file.seen is not None or any(path.startswith(f"{one}.") for one in current)

    def held_line(self, line: str) -> bool:
        """Whether a line with an end ever stood in a file."""
        return any(line + "\n" in text for file in self.every for text in file.history)

    def looked(self) -> None:
        """Note a whole look of the daemon, undisturbed."""
        self.must |= self.readable()
        for file in self.held:
            file.left = True
        for app in self.apps:
            file = self.there(app)
            if file is not None and not self.denied:
                if self.holds:
                    self.held.add(file)
                file.seen = file.text
                file.old = file.left = False

    def failed(self) -> None:
        """Note that reading failed: files were closed, to be opened again by their paths."""
        self.held.clear()
        self.destroyed = self.hindered = True

    def time_passed(self) -> None:
        """Note that rotated files were left alone for a while."""
        there = {self.there(app) for app in self.apps}
        self.held &= there  # type: ignore[arg-type]
        if self.denied:
            # So is what came and went and cannot be opened.
            self.destroyed = True
            self.forgotten |= ids("".join(file.text for file in self.every if len(file.seen or "") < HEAD_BYTES))
            self.late |= ids("".join(file.text for file in self.every if file not in there)) - self.must
        if self.away:
            # What cannot be found for so long is given up, and a little of it proves nothing when it comes back.
            self.destroyed = True
            self.forgotten |= ids("".join(file.text for file in self.every if len(file.seen or "") < HEAD_BYTES))
            self.late |= ids("".join(file.text for file in self.every)) - self.must
        for file in self.every:
            file.old = file.old or file not in there

    def seen(self) -> None:
        """Note which files there are for the daemon to see."""
        self.inodes |= {(self.root / name).stat().st_ino for name in self.files if (self.root / name).exists()}

    def saved(self) -> None:
        """Note that all that the daemon knew is in the store."""
        for file in self.every:
            file.saved = file.seen

    def stopped(self, committed: set[str]) -> None:
        """Note that the daemon has stopped, having committed this."""
        self.held.clear()
        self.must &= committed
        self.accountable.clear()
        for file in self.every:
            file.seen = file.saved
