"""Credentials in addresses and connection strings, and e-mail addresses."""

from __future__ import annotations

import re

import re2

from sidecar.core.redact_base import ESCAPE, MARK, Step, compile_pattern, replacing

# ── credentials ───────────────────────────────────────────────────────────────────────────────────────────────────────

_URL = compile_pattern(
    rb"((?:\\*/){2})([^\s/?#@:\"'<>\\\[]*)(:)"  # `//user:`
    rb"(?:[^\s/?#\"'<>]+"  # up to the last `@` before the path; or a password with a slash, which no port starts
    rb"|[^\s/\"'<>@0-9][^\s\"'<>@]*|[0-9]+[^\s/\"'<>@0-9][^\s\"'<>@]*)@"
    rb"|((?:\\*/){2})[^\s/?#@:\"'<>\[]{16,}:?@"  # a token instead of user and password
    rb"|(%(?:25){0,3}3A%(?:25){0,3}2F%(?:25){0,3}2F[^\s%/:@\"'&]*(?:%(?:25){0,3}3A|:))[^\s/\"'&]+?(%(?:25){0,3}40|@)",
    ignore_case=True,
)
_RANDOM_USER = re.compile(rb"(?=.*[0-9])(?=.*[A-Za-z])[\w.~-]{16,}")


def _hide_in_url(match: re2._Match) -> bytes:
    slashes, user, colon, before, encoded, at = match.groups(b"")
    if _RANDOM_USER.fullmatch(user[-64:]):
        user = MARK  # a token, with anything as its password
    return b"".join((slashes, user, colon, before, encoded, MARK, at or b"@"))


_CONNECTION = compile_pattern(
    # user:password@tcp(host), user:password@host:3306, user:password@host/name
    rb"\b([\w.$-]{1,64}:)[^\s:/\"'<>(){}\[\],]{1,128}"
    rb"@((?:tcp|udp|unix)\(|(?:[A-Za-z][A-Za-z0-9.-]{0,253}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]{2,5}\b|/))"
    rb"|(jdbc:oracle:[a-z]+:[^\s/@\"']{1,64}/)[^\s@\"']{1,128}(@)"
)


def _hide_in_connection(match: re2._Match) -> bytes:
    user, host, oracle, at = match.groups(b"")
    return b"".join((user, oracle, MARK, at or b"@", host))


_USER_OPTION = compile_pattern(
    rb"([\s\"'](?:-u|--user|--proxy-user)(?:[ \t=]+|[\"'],[ \t]*)[\"']?[\w.@+-]{1,64}:)([^\s\"']+)"
)


def _hide_in_option(match: re2._Match) -> bytes:
    before, password = match.groups()
    shown: bytes = match.group() if password.isdigit() else before + MARK  # `-u 1000:1000` names a user and a group
    return shown


# ── e-mail addresses ──────────────────────────────────────────────────────────────────────────────────────────────────

_EMAIL = compile_pattern(
    rb"(" + ESCAPE + rb")?([A-Za-z0-9._%+'\x80-\xff-]*[A-Za-z0-9_%+\x80-\xff-])(?:@|%(?:25){0,3}40)"
    rb"([A-Za-z0-9\x80-\xff-]+(?:\.[A-Za-z0-9\x80-\xff-]+)*\.([A-Za-z\x80-\xff]{2,}))"
)
_NO_DOMAINS = frozenset(
    {b"service", b"socket", b"timer", b"target", b"mount", b"slice", b"scope", b"path"}  # systemd's instances
    | {b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp"}  # pictures by density: `logo@2x.png`
)


def _hide_email(match: re2._Match) -> bytes:
    escape, user, _, last = match.groups(b"")
    shown: bytes = match.group() if last.lower() in _NO_DOMAINS or user == b"git" else escape + MARK
    return shown


hide_url_credentials: Step = replacing(_URL, _hide_in_url)
hide_connection_credentials: Step = replacing(_CONNECTION, _hide_in_connection)
hide_user_options: Step = replacing(_USER_OPTION, _hide_in_option)
hide_emails: Step = replacing(_EMAIL, _hide_email)
