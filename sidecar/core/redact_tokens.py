"""Secrets known by their looks: private keys, the tokens of well-known services, JWTs, bearer and basic credentials."""

from __future__ import annotations

import base64
import binascii
import re

import re2

from sidecar.core.redact_base import ENCODED, ESCAPE, MARK, PERCENT, Step, compile_pattern, replacing

_SPACE = rb"(?:[ +]|" + PERCENT + rb"20)"
_KIND = rb"(?:[A-Z0-9]+" + _SPACE + rb"){0,4}PRIVATE" + _SPACE + rb"KEY(?:" + _SPACE + rb"BLOCK)?"
_BREAK = rb"(?:\s|\\+[rn]|" + PERCENT + rb"0[AD])"
_BODY = rb"(?:[A-Za-z0-9+/=\s\\:,.%()]|-[A-Za-z0-9])"  # of one key: it stops where another begins
_PEM = compile_pattern(
    rb"-----BEGIN" + _SPACE + _KIND + rb"-----"
    rb"(?:" + _BODY + rb"*?-----END" + _SPACE + _KIND + rb"-----"
    # or cut off: lines of base64 and the last piece of one
    rb"|(?:" + _BREAK + rb"|(?:Proc-Type|DEK-Info):[ \w,-]*|[A-Za-z0-9+/=%]{16,})*([A-Za-z0-9+/=%]*(?:[\"']?[:_])?))"
    # or without its beginning
    rb"|(?:[A-Za-z0-9+/=]{16,}" + _BREAK + rb"+)+(?:[A-Za-z0-9+/=]+" + _BREAK + rb"+)?"
    rb"-----END" + _SPACE + _KIND + rb"-----"
)


def _hide_private_key(match: re2._Match) -> bytes:
    last: bytes = match.group(1) or b""
    return MARK + b" " + last if _NAME.fullmatch(last) else MARK


_NAME = re.compile(rb"[A-Za-z]+[\"']?[:_]")
"""Not a key's last piece, but the name of what follows a key that was cut off."""


_TOKENS = compile_pattern(
    rb"(hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_%-]+"
    rb"|(discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]+/)[\w-]+"
    rb"|(?:"
    + b"|".join(
        (
            rb"eyJ[\w-]{6,}(?:(?:\.|%(?:25){0,3}2[Ee])[\w-]*){1,4}",  # JWT, also cut off
            rb"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}",  # Slack
            rb"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt)-[\w-]{16,}",  # GitHub, GitLab
            rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?:[\s:,;/|]{1,3}[A-Za-z0-9/+]{40}\b)?",  # AWS and its secret
            rb"AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",  # Google
            rb"whsec_[A-Za-z0-9+/=]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}",  # Stripe's webhooks, registries
        )
    )
    + rb")|(?:\b|("
    + ENCODED
    + rb"|"
    + ESCAPE
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


_BEARER = compile_pattern(
    rb"((?:\b|" + ESCAPE + rb")(bearer|basic)(?:[ \t]|%(?:25){0,3}20|\+)+)([\w.~+/%-]{6,}={0,2})", ignore_case=True
)


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


hide_private_keys: Step = replacing(_PEM, _hide_private_key)
hide_tokens: Step = replacing(_TOKENS, _hide_token)
hide_bearers: Step = replacing(_BEARER, _hide_bearer)
