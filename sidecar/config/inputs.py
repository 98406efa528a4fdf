"""From inputs as written to inputs as the daemon runs them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType

from sidecar.config import document
from sidecar.config.addresses import AddressError, is_loopback, parse_listen
from sidecar.config.credentials import Credentials
from sidecar.config.model import Admin, HttpInput, InputConfig, JournalInput, StdinInput, TailInput, Webhooks
from sidecar.config.problems import MAX_QUOTED, Place, Source, listed, quoted
from sidecar.config.secrets import Secret
from sidecar.config.values import check_name, check_timezone, read_level
from sidecar.core.decode.journal import PRIORITIES
from sidecar.core.levels import Level

MAX_INPUT_NAME = 100
"""Characters: the name is a metric label."""

_UNIT = re.compile(r"[\w:.@\\-]+\.[a-z]+")
"""As systemd names units (systemd.unit(5)), without globs: those would also find units that are not meant."""

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 (compared with)

_IDENTIFIER = re.compile(r"[^\s-]\S*")


def build_inputs(
    source: Source, docs: list[document.AnyInput], base: Path, credentials: Credentials
) -> tuple[InputConfig, ...]:
    """Return the inputs, named, their paths absolute."""
    inputs: list[InputConfig] = []
    unnamed: Counter[str] = Counter()
    for i, doc in enumerate(docs):
        place: Place = ("inputs", i)
        name = _name(source, place, doc, unnamed)
        if any(other.name == name for other in inputs):
            source.error((*place, "name"), f"another input is called {quoted(name)}: expected a name of its own")
        level = read_level(source, (*place, "default_level"), doc.default_level)
        check_timezone(source, (*place, "timezone"), doc.timezone)
        common: dict[str, Any] = {
            "name": name,
            "timezone": doc.timezone,
            "default_level": Level.INFO if level is None else level,
            "max_line_bytes": doc.max_line_bytes,
        }
        match doc:
            case document.TailInput():
                paths = tuple(str(base / path) for path in doc.paths)
                inputs.append(
                    TailInput(
                        paths=paths,
                        exclude=tuple(doc.exclude),
                        start_at=doc.start_at,
                        format=doc.format,
                        level_key=_key(doc),
                        **common,
                    )
                )
            case document.HttpInput():
                inputs.append(_http(source, place, doc, base, credentials, common))
            case document.JournalInput():
                inputs.append(_journal(source, place, doc, base, common))
            case document.StdinInput():
                if any(isinstance(other, StdinInput) for other in inputs):
                    source.error((*place, "type"), "expected one input of type `stdin`: there is one standard input")
                inputs.append(StdinInput(format=doc.format, level_key=_key(doc), **common))
    return tuple(inputs)


def check_listeners(
    source: Source, inputs: tuple[InputConfig, ...], admin: Admin, webhooks: Webhooks | None = None
) -> None:
    """Say which listeners would take each other's address."""
    taken = {"the admin listener": (admin.host, admin.port)}

    def check(place: Place, mine: str, port: int) -> None:
        for other, (host, its) in taken.items():
            if port and port == its and (mine == host or {mine, host} & _EVERYWHERE):
                source.error(place, f"{other} has this address")

    for i, one in enumerate(inputs):
        if isinstance(one, HttpInput):
            check(("inputs", i, "listen"), one.host, one.port)
            taken[f"input {quoted(one.name)}"] = one.host, one.port
    if webhooks is not None:
        check(("webhooks", "listen"), webhooks.host, webhooks.port)


def _name(source: Source, place: Place, doc: document.AnyInput, unnamed: Counter[str]) -> str:
    if doc.name is not UNSET:
        check_name(source, (*place, "name"), doc.name, limit=MAX_INPUT_NAME)
        return doc.name
    kind = str(doc.__struct_config__.tag)
    unnamed[kind] += 1
    return kind if unnamed[kind] == 1 else f"{kind}-{unnamed[kind]}"


def _key(doc: document.TailInput | document.HttpInput | document.StdinInput) -> str | None:
    return None if doc.level_key is UNSET else doc.level_key


def _http(
    source: Source,
    place: Place,
    doc: document.HttpInput,
    base: Path,
    credentials: Credentials,
    common: dict[str, Any],
) -> HttpInput:
    host, port = "127.0.0.1", 0
    try:
        host, port = parse_listen(doc.listen)
    except AddressError as error:
        source.error((*place, "listen"), str(error))
    tokens = [Secret(token) for token in doc.tokens]
    listed = credentials.take(source, place, "tokens", UNSET, doc.tokens_file)
    if listed is not None:
        tokens += [Secret(line.strip()) for line in listed.reveal().splitlines() if line.strip()]
    if tokens and doc.allow_anonymous:
        source.error((*place, "allow_anonymous"), "expected either this or tokens: with these nobody is anonymous")
    if not tokens and not doc.allow_anonymous and host and not is_loopback(host):
        message = "without tokens only clients on this machine are let in; `allow_anonymous` would let in everybody"
        source.warning((*place, "listen"), message)
    if doc.tls_cert is UNSET:
        for key in ("tls_key", "tls_client_ca"):
            if getattr(doc, key) is not UNSET:
                source.error((*place, key), "expected `tls_cert`, too: without it there is no TLS")

    def file(value: str | UnsetType) -> str | None:
        return None if value is UNSET else str(base / value)

    for key in ("tls_cert", "tls_key", "tls_client_ca"):
        path = file(getattr(doc, key))
        if path is not None and not source.failed((*place, key)) and not Path(path).is_file():
            source.error((*place, key), f"expected a file in PEM form, but there is none: {quoted(path)}")
    return HttpInput(
        host=host,
        port=port,
        tokens=tuple(tokens),
        allow_anonymous=doc.allow_anonymous,
        tag_header=None if doc.tag_header is UNSET else doc.tag_header,
        tls_cert=file(doc.tls_cert),
        tls_key=file(doc.tls_key),
        tls_client_ca=file(doc.tls_client_ca),
        format=doc.format,
        level_key=_key(doc),
        max_body_bytes=doc.max_body_bytes,
        max_inflated_bytes=doc.max_inflated_bytes,
        **common,
    )


def _journal(
    source: Source, place: Place, doc: document.JournalInput, base: Path, common: dict[str, Any]
) -> JournalInput:
    for key, pattern, expected in (
        ("units", _UNIT, "the full name of a unit such as `nginx.service`"),
        ("identifiers", _IDENTIFIER, "a syslog identifier such as `sshd`"),
    ):
        for i, text in enumerate(getattr(doc, key)):
            if not pattern.fullmatch(text):
                source.error((*place, key, i), f"expected {expected}, found {quoted(text, MAX_QUOTED)}")
    names = listed(list(PRIORITIES))
    priority = "" if doc.priority is UNSET else doc.priority
    if priority and not set(priority.split("..", 1)) <= set(PRIORITIES):
        found = quoted(priority, MAX_QUOTED)
        source.error((*place, "priority"), f"expected {names}, or two of them as in `emerg..err`, found {found}")
    for i, name in enumerate(doc.priorities):
        if name not in PRIORITIES:
            source.error((*place, "priorities", i), f"expected {names}, found {quoted(name, MAX_QUOTED)}")
    if priority and doc.priorities:
        source.error((*place, "priorities"), "expected either this or `priority`")
    return JournalInput(
        units=tuple(doc.units),
        identifiers=tuple(doc.identifiers),
        priority=priority,
        priorities=tuple(doc.priorities),
        directory=None if doc.directory is UNSET else str(base / doc.directory),
        start_at=doc.start_at,
        **common,
    )
