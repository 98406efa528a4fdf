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
    IF_MIXED = enum.auto()
    """Only what is no plain word is a secret: the rest of a sentence may follow the name."""
    IF_RANDOM = enum.auto()
    """Only what looks generated is a secret: the name has harmless uses."""


MAX_NAME = 128
"""Bytes of a name that are looked at, its end: longer ones are not names."""

MAX_REMEMBERED = 1024
"""Names whose judgement is remembered: an application writes the same few again and again."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    r".*(?:passwords?|passwd|passwort|passphrase|passcode|passkey|pwd|secrets?|credentials?|creds|apikey|accesskey"
    r"|privatekey|secretkey|signingkey|encryptionkey|accountkey|sharedkey|authkey|authtoken|pagerdutykey)"
)
_TOKEN_WORD = re.compile(r".*(?:token|jwt)")
_LAST_WORDS = frozenset(
    {"pw", "pass", "dbpass", "userpass", "jwt", "cookie", "cookies", "authorization", "bearer", "ssn"}
    | {"cvv", "cvc", "pin", "otp", "totp"}
)
_SOMETIMES_NUMBERS = frozenset({"pass", "token", "otp", "pin", "cookies"})
_KEY_OF = frozenset(
    {"api", "access", "private", "secret", "encryption", "signing", "shared", "account", "auth", "master", "storage"}
    | {"license", "ssh", "crypto", "cipher", "hmac", "aes", "rsa", "deploy", "admin", "app", "application", "ssl"}
    | {"tls", "duty", "pagerduty"}
)
_CODE_OF = frozenset(
    {"verification", "mfa", "otp", "auth", "authorization", "security", "access", "recovery", "backup"}
)
_RANDOM_KEY_OF = frozenset(
    {"routing", "integration", "subscription", "service", "server", "client", "consumer", "session"}
)
_RANDOM = frozenset(
    {"sig", "signature", "auth", "sas", "session", "sid", "sessionid", "jsessionid", "phpsessid", "sessid", "tokens"}
    | {"hmac"}
)
_ABOUT = frozenset(
    {"length", "len", "count", "policy", "expired", "expires", "expiry", "expiration", "expire", "in", "at", "age"}
    | {"type", "name", "url", "uri", "path", "file", "version", "status", "reset", "min", "max", "attempts", "limit"}
    | {"required", "valid", "strength", "updated", "changed", "date", "time", "enabled", "field", "format", "error"}
    | {"size", "provider", "manager", "arn", "ref", "store", "service", "endpoint", "used", "ttl", "rotation", "level"}
    | {"exception", "failure", "invalid", "missing", "failed", "check", "mode", "algorithm", "alg", "scope", "class"}
)
"""Last words that make a name speak about a secret instead of holding it."""
_PARTS = frozenset(
    {"encoder", "decoder", "controller", "handler", "filter", "chain", "factory", "validator", "resolver", "client"}
    | {"repository", "middleware", "interceptor", "callback", "listener", "helper", "util", "utils", "generator"}
    | {"request", "response", "test", "spec", "view", "route", "router", "job", "task", "worker", "module", "plugin"}
)
"""Last words of types, whose names begin messages: `com.example.PasswordEncoder: …`."""
_TYPE = re.compile(r"(?:.*[.$])?[A-Z]\w*[a-z]\w*")
_SOURCE = re.compile(
    rb".*\.(?:java|kt|scala|groovy|py|rb|js|mjs|cjs|jsx|ts|tsx|vue|go|rs|php|cs|c|cc|cpp|h|swift|ex|exs)"
)
"""A file of source code, which a line number follows."""
_COUNTED = frozenset({"max", "min", "num", "number", "total", "prompt", "completion", "input", "output", "cached"})
_WORD_BEFORE = re.compile(rb"([A-Za-z]+) $")
_SECOND_WORDS = frozenset({b"key", b"keys", b"phrase", b"code"})
"""Names that say what they hold with the word in front of them: `API key: x`."""
_FAULT = re.compile(
    # `ExpiredToken`, `auth.InvalidPassword`, `invalid_token`
    rb".*?(?<![a-z])(?:invalid|expired|missing|bad|wrong|incorrect|unknown|unexpected|malformed|unsupported|revoked)"
    rb"[A-Z_-]"
    rb"|.*?(?:Invalid|Expired|Missing|Bad|Wrong|Incorrect|Unknown|Unexpected|Malformed|Unsupported|Revoked)[A-Z]"
)
"""Names of what is wrong with a secret: types of exceptions, and OAuth's errors."""
_SENTENCE = re.compile(rb"[A-Z][a-z']* [a-z]|\w+::\w")
_VERB_BEFORE = re.compile(
    rb"\b(?:get|fetch|pars|read|load|refresh|decod|verify|validat|decrypt|encrypt|obtain|retriev|find|creat|generat|sign"
    rb"|mount|rotat|acquir|renew|request|exchang|revok|resolv|no|missing)"
    rb"(?:e|ing)?(?: \w{1,16}){0,2} $",
    re.IGNORECASE,
)
"""What somebody tried to do with a secret, up to two words before it."""
_PROSE = re.compile(rb"(?:tokens?|secrets?|credentials?|creds|jwt|keys?)")


def secrecy_of(name: bytes, *, before: bytes = b"", after: bytes = b"", prose: bool = False) -> Secrecy:
    """Judge a name by itself and by what stands around it.

    `prose`: it is written as in a sentence, unquoted and with a colon, as in `cannot fetch token: context canceled`.
    """
    if name.lower() == b"token" and before.lower().endswith(b"unexpected "):
        return Secrecy.NONE
    secrecy = _judge(name[-MAX_NAME:])
    if secrecy is Secrecy.NONE and name.lower() in _SECOND_WORDS and (word := _WORD_BEFORE.search(before)):
        secrecy = _judge(word[1][-MAX_NAME:] + b"_" + name)
    if secrecy is Secrecy.ALWAYS and before.endswith(b"/"):
        return Secrecy.UNLESS_NUMBER  # a path, and the status of a request
    if prose and secrecy is not Secrecy.NONE:
        if _FAULT.match(name) and _SENTENCE.match(after):
            return Secrecy.NONE  # the type of an exception, and its message
        if secrecy is not Secrecy.IF_RANDOM and _PROSE.fullmatch(name) and _VERB_BEFORE.search(before):
            return Secrecy.IF_MIXED
    return secrecy


@functools.lru_cache(MAX_REMEMBERED)
def _judge(name: bytes) -> Secrecy:
    if _SOURCE.fullmatch(name):
        return Secrecy.NONE
    text = name.decode("latin-1")
    words = [word.lower() for word in _WORDS.findall(text)]
    if not words or words[-1] in _ABOUT or (words[-1] == "id" and words[-2:-1] != ["secret"]):
        return Secrecy.NONE
    if words[-1] in _PARTS and _TYPE.fullmatch(text):
        return Secrecy.NONE
    last, previous = words[-1], words[-2] if len(words) > 1 else ""
    if any(_SECRET_WORD.fullmatch(word) for word in words):
        return Secrecy.ALWAYS
    if last == "token" and _COUNTED.intersection(words):
        return Secrecy.NONE
    if _TOKEN_WORD.fullmatch(last) or last in _LAST_WORDS:
        return Secrecy.UNLESS_NUMBER if last in _SOMETIMES_NUMBERS else Secrecy.ALWAYS
    if last == "code":
        return Secrecy.ALWAYS if previous in _CODE_OF else Secrecy.NONE
    if last == "phrase":
        return Secrecy.ALWAYS if previous == "pass" else Secrecy.NONE
    if last in ("key", "keys"):
        if previous in _KEY_OF:
            return Secrecy.ALWAYS
        return Secrecy.IF_RANDOM if previous in _RANDOM_KEY_OF else Secrecy.NONE
    return Secrecy.IF_RANDOM if last in _RANDOM else Secrecy.NONE
