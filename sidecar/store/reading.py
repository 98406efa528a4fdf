"""Reads the state back: everything that a start needs, and nothing that only history needs."""

from __future__ import annotations

import sqlite3

import msgspec

from sidecar.config.secrets import Secret
from sidecar.core.daemon import ID_PREFIX
from sidecar.core.incidents import Incident
from sidecar.core.outbox import Entry
from sidecar.core.quarantine import RejectedRecord
from sidecar.core.silences import Silence
from sidecar.core.state import End, EngineRow, GroupKey, GroupRow, RuleRow, Snapshot, SourceRow


class Stored(msgspec.Struct):
    """Everything that a start needs."""

    snapshot: Snapshot
    positions: dict[str, bytes]
    entries: list[Entry]
    """All notifications of open incidents, and of resolved ones with an unsettled notification, in order."""
    resolved: dict[str, Incident]
    """Resolved incidents that unsettled notifications are about."""
    own: dict[str, Incident]
    """The daemon's own, open or not: they are stored as history whatever their state."""
    secrets: dict[str, Secret]
    last_entry: int
    last_moment: int
    rejected: list[RejectedRecord]
    """The oldest first."""


def read(db: sqlite3.Connection) -> Stored:
    """Read everything back. Raises `sqlite3.Error`, or `ValueError` for a row that cannot be understood."""
    decode_rule = msgspec.msgpack.Decoder(RuleRow).decode
    decode_group = msgspec.msgpack.Decoder(GroupRow).decode
    decode_incident = msgspec.msgpack.Decoder(Incident).decode
    decode_entry = msgspec.msgpack.Decoder(Entry).decode
    decode_key = msgspec.json.Decoder(GroupKey).decode
    query = db.execute
    engine = query("SELECT data FROM engine").fetchone()
    snapshot = Snapshot(
        sources={name: SourceRow(clock, seq) for name, clock, seq in query("SELECT * FROM sources")},
        groups={(rule, decode_key(key)): decode_group(data) for rule, key, data in query("SELECT * FROM groups")},
        ended={(rule, decode_key(key)): End(at, until) for rule, key, at, until in query("SELECT * FROM ended")},
        incidents={
            id_: decode_incident(data)
            for id_, data in query("SELECT id, data FROM incidents WHERE resolved_at IS NULL")
        },
        rules={name: decode_rule(data) for name, data in query("SELECT * FROM rules")},
        silences={
            id_: msgspec.msgpack.decode(data, type=Silence) for id_, data in query("SELECT * FROM silences ORDER BY id")
        },
        engine=EngineRow() if engine is None else msgspec.msgpack.decode(engine[0], type=EngineRow),
    )
    resolved = {
        id_: decode_incident(data)
        for id_, data in query(
            "SELECT id, data FROM incidents WHERE resolved_at IS NOT NULL"
            " AND id IN (SELECT incident FROM outbox WHERE settled_at IS NULL)"
        )
    }
    # "." follows "-": all ids that begin so, found in the index.
    own = query("SELECT id, data FROM incidents WHERE id >= ? AND id < ?", (ID_PREFIX, f"{ID_PREFIX[:-1]}."))
    wanted = snapshot.incidents.keys() | resolved.keys()
    rows = query(
        "SELECT incident, data FROM outbox WHERE incident IN (SELECT incident FROM outbox WHERE settled_at IS NULL)"
        " OR incident IN (SELECT id FROM incidents WHERE resolved_at IS NULL) ORDER BY id"
    )
    return Stored(
        snapshot=snapshot,
        positions=dict(query("SELECT * FROM positions").fetchall()),
        # A notification about an incident that is not there could not be put into words.
        entries=[decode_entry(data) for incident, data in rows if incident in wanted],
        resolved=resolved,
        own={id_: decode_incident(data) for id_, data in own},
        secrets={name: Secret(value) for name, value in query("SELECT * FROM secrets")},
        last_moment=query("SELECT COALESCE(MAX(id), 0) FROM timeline").fetchone()[0],
        last_entry=query("SELECT COALESCE(MAX(id), 0) FROM outbox").fetchone()[0],
        rejected=msgspec.convert(query("SELECT * FROM rejected ORDER BY id").fetchall(), list[RejectedRecord]),
    )
