"""Only what PagerDuty has signed with a secret of ours is believed."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from sidecar.config.secrets import Secret
from sidecar.webhooks.signature import Signatures

BODY = b'{"event": {"x": "\xc3\xa4"}}'
OLD, NEW = "9TX1NvBGnqBpPjLzJo7fKw", "söcret/with+signs="


def sign(secret: str, body: bytes = BODY) -> str:
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_the_signature_is_the_documented_one() -> None:
    """By another implementation: `printf '{}' | openssl dgst -sha256 -hmac secret`."""
    given = "v1=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"
    assert Signatures([Secret("secret")]).accept(b"{}", [given])


@pytest.mark.parametrize(
    "headers",
    [
        [sign(NEW)],
        [sign(OLD)],
        [f"{sign('unknown')},{sign(OLD)}"],
        [f"{sign('unknown')},\n {sign(OLD)}"],
        [f"  {sign(OLD)} , {sign('unknown')}\t"],
        [sign("unknown"), sign(NEW)],
        [sign(NEW).upper().replace("V1", "v1")],
        [f"v2=abc,v1=,,=,{sign(NEW)}"],
    ],
)
def test_any_signature_under_any_secret_will_do(headers: list[str]) -> None:
    assert Signatures([Secret(OLD), Secret(NEW)]).accept(BODY, headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["v1="],
        [sign("unknown")],
        [sign(OLD)[:-1]],
        [sign(OLD) + "0"],
        [sign(OLD).removeprefix("v1=")],
        [sign(OLD).replace("v1=", "v0=")],
        [sign(OLD, BODY + b" ")],
        ["v1=\udcff\udcfe", "v1=ä"],
        [sign("")],
    ],
)
def test_nothing_else_will(headers: list[str]) -> None:
    assert not Signatures([Secret(OLD), Secret(NEW)]).accept(BODY, headers)


def test_every_byte_of_the_body_counts() -> None:
    signatures = Signatures([Secret(OLD)])
    for position in range(len(BODY)):
        changed = bytearray(BODY)
        changed[position] ^= 1
        assert not signatures.accept(bytes(changed), [sign(OLD)])
