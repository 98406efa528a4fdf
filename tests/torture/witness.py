"""A daemon that leaves a testimony: whatever its engine is asked, written in the transaction that the answer is in.

So the testimony is exactly what was decided and committed, kill or no kill, and the pure engine can be asked the same
questions again (`fold`). As a program it serves as `dying` does.
"""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

TABLE = "witness"


class Question(NamedTuple):
    """One call of the engine. `answered`: what it was told about idle sources."""

    name: str
    args: tuple[Any, ...]
    answered: dict[str, bool]


def testify() -> None:
    """Have every daemon of this process leave its testimony."""
    import sidecar.store.store as store
    from sidecar.core.advance import Engine
    from sidecar.pipeline import Pipeline
    from sidecar.store import merging

    asked: list[Question] = []
    put = f"INSERT OR REPLACE INTO {TABLE} VALUES (NULL, ?)"

    def wrap(name: str) -> None:
        original = getattr(Engine, name)

        def call(self: Engine, *args: Any, **more: Any) -> Any:
            assert not more
            # What it is asked about may be changed by the answer.
            question = Question(name, pickle.loads(pickle.dumps(told(name, args))), {})
            asked.append(question)
            if name == "tick":
                now, idle = args

                def is_idle(source: str) -> bool:
                    return question.answered.setdefault(source, idle(source))

                args = (now, is_idle)
            answer = original(self, *args)
            if answer is None:  # there is nothing to commit
                asked.pop()
            return answer

        setattr(Engine, name, call)

    for name in ("take_in", "tick", "reconfigure", "fall_back", "say", "say_together", "silence"):
        wrap(name)

    submit = Pipeline._submit

    def submitting(self: Pipeline, changes: Any, more: Any = (), **how: Any) -> Any:
        testimony = [(pickle.dumps(tuple(question)),) for question in asked]
        asked.clear()
        return submit(self, changes, [*more, *([(put, testimony)] if testimony else [])], **how)

    Pipeline._submit = submitting  # type: ignore[method-assign]
    merging._APPENDED = merging._APPENDED | {TABLE}  # type: ignore[misc]
    connect = store.connect

    def connecting(path: Path | None) -> sqlite3.Connection:
        db = connect(path)
        db.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, question BLOB NOT NULL)")
        return db

    store.connect = connecting


def told(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a call was told, as far as it can be written and is not the configuration's."""
    match name:
        case "take_in":
            (step,) = args
            whole = [msgspec.structs.replace(match, sample=match.sample.in_full()) for match in step.matches]
            return (msgspec.structs.replace(step, matches=whole),)
        case "tick":
            return args[:1]
        case "reconfigure":
            return (args[3],)
    return args


def testimony(path: Path) -> list[Question]:
    """Return what is on record of a database's daemons, in order."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [Question(*pickle.loads(data)) for (data,) in db.execute(f"SELECT question FROM {TABLE} ORDER BY id")]


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1] / "faults"))
    import dying

    testify()
    dying.main()
