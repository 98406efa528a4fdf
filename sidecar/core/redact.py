"""Secrets and personal data in log text, replaced by `[redacted]` before anything leaves the process.

Log lines are written by people in a hurry: `password=…`, JSON inside JSON, headers, connection strings, whole keys.
In doubt a value is hidden: a word too few in a message costs a glance, a secret in a chat costs a night.
What people need to work stays: times, UUIDs, hashes, addresses, numbers, and the names of what was hidden.

Invariants
- Linear time in the length of the text, whatever it holds: searches are RE2's, and every scan by hand either moves on
  past what it has read or reads a bounded number of bytes.
- Redacting twice changes nothing more.
- Work is on UTF-8 bytes; every pattern begins and ends at ASCII or takes whole runs, so no character is split.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

import re2

from sidecar.core.redact_keys import Secrecy, secrecy_of
from sidecar.core.redact_values import Form, value_span

MARK = b"[redacted]"

MAX_ROUNDS = 6
"""Hiding one thing may bring out another next to it. Text that people write needs two rounds; the bound keeps text
that was made to need more from taking more than linear time."""

Step = Callable[[bytes], bytes]


def redact(text: str) -> str:
    """Return the text with secrets and personal data replaced."""
    return redact_count(text)[0]


def redact_count(text: str) -> tuple[str, int]:
    """Return the redacted text, and how many places in it were replaced."""
    original = data = text.encode("utf-8", "surrogatepass")
    for _ in range(MAX_ROUNDS):
        before = data
        for step in _STEPS:
            data = step(data)
        if data == before:
            break
    return data.decode("utf-8", "surrogatepass"), max(0, data.count(MARK) - original.count(MARK))


def _compile(pattern: bytes, *, ignore_case: bool = False) -> re2._Regexp:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not ignore_case
    options.log_errors = False
    return re2.compile(pattern, options)


def _replacing(pattern: re2._Regexp, replacement: Callable[[re2._Match], bytes]) -> Step:
    """Return a step that replaces what the pattern finds; a `replacement` that declines returns what it got."""

    def step(data: bytes) -> bytes:
        replaced: bytes = pattern.sub(replacement, data)
        return replaced

    return step


# ── private keys ──────────────────────────────────────────────────────────────────────────────────────────────────────

_SPACE = rb"(?:[ +]|%20)"
_KIND = rb"(?:[A-Z0-9]+" + _SPACE + rb"){0,4}PRIVATE" + _SPACE + rb"KEY(?:" + _SPACE + rb"BLOCK)?"
_BREAK = rb"(?:\s|\\+[rn]|%0[AD])"
_BODY = rb"(?:[A-Za-z0-9+/=\s\\:,.%()]|-[A-Za-z0-9])"  # of one key: it stops where another begins
_PEM = _compile(
    rb"-----BEGIN" + _SPACE + _KIND + rb"-----"
    rb"(?:" + _BODY + rb"*?-----END" + _SPACE + _KIND + rb"-----"
    # or cut off: lines of base64 and the last piece of one
    rb"|(?:" + _BREAK + rb"|(?:Proc-Type|DEK-Info):[ \w,-]*|[A-Za-z0-9+/=%]{16,})*[A-Za-z0-9+/=%]*)"
    # or without its beginning
    rb"|(?:[A-Za-z0-9+/=]{16,}" + _BREAK + rb"+)+(?:[A-Za-z0-9+/=]+" + _BREAK + rb"+)?"
    rb"-----END" + _SPACE + _KIND + rb"-----"
)


# ── credentials in addresses ──────────────────────────────────────────────────────────────────────────────────────────

_URL = _compile(
    rb"(:(?:\\*/){2}[^\s/?#@:\"'<>\\\[]*:)"  # `://user:`
    rb"(?:[^\s/?#\"'<>]+"  # up to the last `@` before the path; or a password with a slash, which no port starts
    rb"|[^\s/\"'<>@0-9][^\s\"'<>@]*|[0-9]+[^\s/\"'<>@0-9][^\s\"'<>@]*)@"
    rb"|(:(?:\\*/){2})[^\s/?#@:\"'<>\[]{16,}@"  # a token instead of user and password
    rb"|(%3A%2F%2F[^\s%/:@\"'&]*(?:%3A|:))[^\s/\"'&]+?(%40|@)",
    ignore_case=True,
)


def _hide_credentials(match: re2._Match) -> bytes:
    before, token, encoded, at = match.groups(b"")
    return b"".join((before, token, encoded, MARK, at or b"@"))


# ── names and their values ────────────────────────────────────────────────────────────────────────────────────────────

_HINT = rb"(?:pass|pwd|secret|token|cred|key|auth|cookie|sig|pin|otp|cvv|cvc|jwt|sas|ssn|sess|sid|bearer|pw)"
_NAME = rb"[a-z0-9_.-]*" + _HINT + rb"[a-z0-9_.-]*"
_CLOSE = rb"(?:\\{0,15}[\"'`]|\]|%5d|%22|%27|&quot;|&#34;|\\{1,8}u0022)"
_ASSIGNMENT = _compile(
    rb"(?:%[0-9a-f]{2})?(" + _NAME + rb")" + _CLOSE + rb"{0,4}[ \t]{0,8}(?:(=>|:=|==?|:)|(%3[ad]))[ \t]{0,8}"
    rb"|--(" + _NAME + rb")(?:[ \t]+|[\"'],[ \t]*)"  # an option of a command
    rb"|<(" + _NAME + rb")(?:[ \t][^<>]{0,200})?>"  # XML
    rb"|((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]+)[\"'][ \t]*,[ \t]*",  # a pair in a list of headers
    ignore_case=True,
)


def _hide_values(data: bytes) -> bytes:
    out: list[bytes] = []
    done = position = 0
    while match := _ASSIGNMENT.search(data, position):
        position = match.end()
        name, separator, encoded, option, element, header = match.groups()
        name = name or option or element or header
        secrecy = secrecy_of(name, before=data[max(0, match.start() - 12) : match.start()])
        if secrecy is Secrecy.NONE:
            continue
        form = Form(
            header=separator == b":" or header is not None, encoded=encoded is not None, element=element is not None
        )
        span = value_span(data, position, name, secrecy, form)
        if span is not None:
            start, position = span
            out += (data[done:start], MARK)
            done = position
    return b"".join((*out, data[done:]))


# ── tokens known by their looks ───────────────────────────────────────────────────────────────────────────────────────

_ENCODED = rb"%[0-9A-Fa-f]{2}"
"""A percent-encoded character: its last letter would otherwise be taken for the beginning of what follows."""

_TOKENS = _compile(
    rb"(hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_%-]+"
    rb"|(discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]+/)[\w-]+"
    rb"|(?:"
    + b"|".join(
        (
            rb"eyJ[\w-]{6,}(?:(?:\.|%2[Ee])[\w-]*){1,4}",  # JWT, also cut off
            rb"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}",  # Slack
            rb"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt)-[\w-]{16,}",  # GitHub, GitLab
            rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?:[\s:,;/|]{1,3}[A-Za-z0-9/+]{40}\b)?",  # AWS and its secret
            rb"AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",  # Google
            rb"whsec_[A-Za-z0-9+/=]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}",  # Stripe's webhooks, registries
        )
    )
    + rb")|(?:\b|("
    + _ENCODED
    + rb"))(?:"
    + b"|".join(
        (
            rb"1//0[\w-]{20,}",  # Google
            rb"[A-Za-z0-9+/]{86}==|[\w~.-]{3}[0-9]Q~[\w~.-]{31,}",  # Azure: storage key, client secret
            rb"[rsp]k_(?:live|test)_\w{8,}|SG\.[\w-]{16,}\.[\w-]{16,}",  # Stripe, SendGrid
            rb"SK[0-9a-f]{32}\b|key-[0-9a-f]{32}\b|[0-9a-f]{32}-us[0-9]{1,2}\b",  # Twilio, Mailgun, Mailchimp
            rb"sk-[\w-]{32,}|hf_[A-Za-z0-9]{30,}|dapi[0-9a-f]{32}",  # language models, Databricks
            rb"do[opr]_v1_[0-9a-f]{32,}|shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}|sq0[a-z]{3}-[\w-]{22,}",  # shops and hosts
            rb"hv[sbr]\.[\w-]{20,}|glsa_\w{20,}|glc_[\w=+/-]{20,}|NRAK-[A-Z0-9]{20,}|ATATT3[\w=-]{20,}",  # operations
            rb"[0-9]{8,10}:AA[\w-]{32,}|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}",  # Telegram, Discord
        )
    )
    + rb")"
)


def _hide_token(match: re2._Match) -> bytes:
    return b"".join((*match.groups(b""), MARK))


_BEARER = _compile(rb"\b((bearer|basic)(?:[ \t]|%20|\+)+)([\w.~+/%-]{6,}={0,2})", ignore_case=True)


def _hide_bearer(match: re2._Match) -> bytes:
    before, scheme, token = match.groups()
    secret = _is_basic(token) if scheme.lower() == b"basic" else _is_bearer(token)
    shown: bytes = before + MARK if secret else match.group()
    return shown


def _is_bearer(token: bytes) -> bool:
    """Tell a token from the next word of a sentence: `Bearer authentication failed`."""
    return len(token) >= 20 or re.search(rb"[0-9]|[a-z][A-Z]", token) is not None


def _is_basic(token: bytes) -> bool:
    """Whether this is `user:password` in base64."""
    digits = token.rstrip(b"=")
    try:
        return b":" in base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        return False


# ── card numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────

_DIGITS = _compile(rb"(" + _ENCODED + rb")?([0-9](?:(?:[ +-]|%20)?[0-9]){12,})")
_GROUPS = re.compile(rb"(?:%20|[ +-])")
_USUAL_GROUPS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (4, 3, 3, 3), (6, 13), (4, 4, 4, 6)}
"""How card numbers are printed: looked for within a longer run of numbers, too."""
MAX_GROUPS = 5
_ISSUER = re.compile(rb"(?:[3-6]|2[2-7]|8[12]|9792)")
"""First digits of card issuers. It leaves out what begins with 1, as times since the epoch do, and years."""
_UUID_GROUPS = (8, 4, 4, 4, 12)


def _hide_cards(data: bytes) -> bytes:
    def hide(match: re2._Match) -> bytes:
        encoded, run = match.groups(b"")
        before, after = data[max(0, match.start() - 1) : match.start()], data[match.end() : match.end() + 1]
        word_before = not encoded and (before.isalpha() or before == b".")
        return b"".join((encoded, _without_cards(run, joined=(word_before, after.isalpha()))))

    return _replacing(_DIGITS, hide)(data)


def _without_cards(run: bytes, joined: tuple[bool, bool]) -> bytes:
    """Replace the card numbers in digits with single separators.

    `joined` says whether a word is joined to the first and to the last group, which then is part of that word.
    """
    groups, separators = _GROUPS.split(run), [*_GROUPS.findall(run), b""]
    lengths = tuple(map(len, groups))
    if lengths == _UUID_GROUPS:
        return run
    first, last = int(joined[0]), len(groups) - int(joined[1])
    if first == 0 and last == len(groups) and _is_card(b"".join(groups)):
        return MARK
    out: list[bytes] = []
    at = 0
    while at < len(groups):
        most = min(MAX_GROUPS, last - at) if at >= first else 0
        take = next((n for n in range(1, most + 1) if _is_usual(groups[at : at + n], lengths[at : at + n])), 0)
        out += (MARK if take else groups[at], separators[at + max(take, 1) - 1])
        at += max(take, 1)
    return b"".join(out)


def _is_usual(groups: list[bytes], lengths: tuple[int, ...]) -> bool:
    return (len(groups) == 1 or lengths in _USUAL_GROUPS) and _is_card(b"".join(groups))


def _is_card(digits: bytes) -> bool:
    """Whether digits are a card number: length, issuer, check digit (Luhn)."""
    if not 13 <= len(digits) <= 19 or not _ISSUER.match(digits):
        return False
    values = [digit - 48 for digit in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * value, 10)) for value in values[1::2])) % 10 == 0


# ── e-mail addresses ──────────────────────────────────────────────────────────────────────────────────────────────────

_EMAIL = _compile(
    rb"([A-Za-z0-9._%+'\x80-\xff-]*[A-Za-z0-9_%+\x80-\xff-])(?:@|%40)"
    rb"([A-Za-z0-9\x80-\xff-]+(?:\.[A-Za-z0-9\x80-\xff-]+)*\.([A-Za-z\x80-\xff]{2,}))"
)
_NO_DOMAINS = frozenset(
    {b"service", b"socket", b"timer", b"target", b"mount", b"slice", b"scope", b"path"}  # systemd's instances
    | {b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp"}  # pictures by density: `logo@2x.png`
)


def _hide_email(match: re2._Match) -> bytes:
    user, _, last = match.groups()
    shown: bytes = match.group() if last.lower() in _NO_DOMAINS or user == b"git" else MARK
    return shown


_STEPS: tuple[Step, ...] = (
    _replacing(_PEM, lambda _: MARK),
    _replacing(_URL, _hide_credentials),
    _replacing(_TOKENS, _hide_token),
    _replacing(_BEARER, _hide_bearer),
    _replacing(_EMAIL, _hide_email),
    _hide_cards,
    _hide_values,
)
"""What is known by its looks first: what hides it would change the names before values."""
