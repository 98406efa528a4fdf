"""Which names have secret values: `dbPassword`, `x-api-key`, `user[password_hash]`; not `token_type` or `max_tokens`.

A name is read as words, whether written in camelCase, snake_case, kebab-case or dotted.
"""

from __future__ import annotations

import enum
import functools
import re


class Secrecy(enum.Enum):
    """How a name judges its value."""

    NONE = enum.auto()
    ALWAYS = enum.auto()
    """Any value is a secret, unless it says nothing (`null`, `***`)."""
    UNLESS_NUMBER = enum.auto()
    """As above, but a short number counts something."""
    IF_RANDOM = enum.auto()
    """Only what looks generated is a secret: the name has harmless uses."""


MAX_NAME = 128
"""Bytes of a name that are looked at, its end: longer ones are not names."""

MAX_REMEMBERED = 1024
"""Names whose judgement is remembered: an application writes the same few again and again."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    r".*(?:passwords?|passwd|passwort|passphrase|passcode|passkey|pwd|secrets?|credentials?|creds|apikey|accesskey"
    r"|privatekey|secretkey|signingkey|encryptionkey|accountkey|sharedkey|authkey|authtoken)"
)
_TOKEN_WORD = re.compile(r".*(?:token|jwt)")
_LAST_WORDS = frozenset(
    {"pw", "pass", "dbpass", "userpass", "jwt", "cookie", "authorization", "cvv", "cvc", "pin", "otp", "totp", "ssn"}
)
_SOMETIMES_NUMBERS = frozenset({"pass", "token", "otp", "pin"})
_KEY_OF = frozenset(
    {"api", "access", "private", "secret", "encryption", "signing", "shared", "account", "auth", "master", "storage"}
    | {
        "license",
        "ssh",
        "crypto",
        "cipher",
        "hmac",
        "aes",
        "rsa",
        "deploy",
        "admin",
        "app",
        "application",
        "ssl",
        "tls",
    }
)
_RANDOM_KEY_OF = frozenset({"routing", "integration", "subscription", "service", "server", "client", "consumer"})
_RANDOM = frozenset(
    {"sig", "signature", "auth", "sas", "session", "sid", "sessionid", "jsessionid", "phpsessid", "sessid", "tokens"}
)
_ABOUT = frozenset(
    {"length", "len", "count", "policy", "expired", "expires", "expiry", "expiration", "expire", "in", "at", "age"}
    | {"type", "name", "url", "uri", "path", "file", "version", "status", "reset", "min", "max", "attempts", "limit"}
    | {"required", "valid", "strength", "updated", "changed", "date", "time", "enabled", "field", "format", "error"}
    | {"size", "provider", "manager", "arn", "ref", "store", "service", "endpoint", "used", "ttl", "rotation", "level"}
    | {"exception", "failure", "invalid", "missing", "failed", "check", "mode", "algorithm", "alg", "scope", "class"}
)
"""Last words that make a name speak about a secret instead of holding it."""
_COUNTED = frozenset({"max", "min", "num", "number", "total", "prompt", "completion", "input", "output", "cached"})


def secrecy_of(name: bytes, *, before: bytes = b"") -> Secrecy:
    """Judge a name. `before` is the text in front of it: `Unexpected token: x` is a parser's message."""
    if name.lower() == b"token" and before.lower().endswith(b"unexpected "):
        return Secrecy.NONE
    return _judge(name[-MAX_NAME:])


@functools.lru_cache(MAX_REMEMBERED)
def _judge(name: bytes) -> Secrecy:
    words = [word.lower() for word in _WORDS.findall(name.decode("latin-1"))]
    if not words or words[-1] in _ABOUT or (words[-1] == "id" and words[-2:-1] != ["secret"]):
        return Secrecy.NONE
    last, previous = words[-1], words[-2] if len(words) > 1 else ""
    if any(_SECRET_WORD.fullmatch(word) for word in words):
        return Secrecy.ALWAYS
    if last == "token" and _COUNTED.intersection(words):
        return Secrecy.NONE
    if _TOKEN_WORD.fullmatch(last) or last in _LAST_WORDS:
        return Secrecy.UNLESS_NUMBER if last in _SOMETIMES_NUMBERS else Secrecy.ALWAYS
    if last in ("key", "keys"):
        if previous in _KEY_OF:
            return Secrecy.ALWAYS
        return Secrecy.IF_RANDOM if previous in _RANDOM_KEY_OF else Secrecy.NONE
    return Secrecy.IF_RANDOM if last in _RANDOM else Secrecy.NONE
