"""Positions follow the globs that they were made for, whatever their input is called."""

from __future__ import annotations

import msgspec

from sidecar.config.model import TailInput
from sidecar.core.following import Identity, Remembered
from sidecar.inputs.tail.owners import moves
from sidecar.inputs.tail.positions import Keys, Position, row

LOG = "/var/log/a.log"


def rows_of(name: str, pattern: str = LOG) -> dict[str, bytes]:
    keys = Keys(name)
    position = Position(
        path=LOG, pattern=pattern, number=1, at=LOG, known=Remembered(identity=Identity(1, 2), offset=7), modified=0
    )
    file = row(keys.file(LOG, 1), position)
    assert file.value is not None
    return {file.key: file.value, keys.scanned(pattern): b"1"}


def after(rows: dict[str, bytes], *inputs: TailInput) -> dict[str, bytes]:
    kept = dict(rows)
    for move in moves(rows, inputs):
        if move.value is None:
            del kept[move.key]
        else:
            kept[move.key] = move.value
    return kept


def tail(name: str, *paths: str) -> TailInput:
    return TailInput(name=name, paths=paths)


def test_an_input_that_got_another_name_keeps_its_positions() -> None:
    assert after(rows_of("tail"), tail("tail", "/var/log/b.log"), tail("tail-2", LOG)) == rows_of("tail-2")


def test_inputs_that_changed_places_change_their_positions_too() -> None:
    """What one of them has now is not mistaken for what the other had."""
    rows = rows_of("tail") | rows_of("tail-2", "/var/log/*")
    assert after(rows, tail("tail", "/var/log/*"), tail("tail-2", LOG)) == (
        rows_of("tail-2") | rows_of("tail", "/var/log/*")
    )


def test_an_input_that_stays_keeps_its_positions() -> None:
    assert moves(rows_of("tail"), [tail("other", LOG), tail("tail", LOG)]) == []


def test_positions_that_no_glob_asks_for_stay_where_they_are() -> None:
    assert moves(rows_of("tail"), [tail("tail", "/elsewhere")]) == []


def test_rows_of_others_and_broken_ones_are_left_alone() -> None:
    rows = {"http/x/1": b"1", "tail/tail/file/x#1": b"{", "tail/": b"", "tail/a/file/y#1": msgspec.json.encode({})}
    assert moves(rows, [tail("b", "x")]) == []
