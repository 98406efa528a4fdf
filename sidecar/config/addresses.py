"""Addresses in configuration: URLs to send to, and where to listen.

Messages never repeat the address: webhook URLs are secrets.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

MAX_URL = 2048
"""Characters: what servers commonly accept, and many times a webhook's address."""

_VISIBLE = re.compile(r"[!-~\u00a1-\ud7ff\ue000-\U0010ffff]+")


class AddressError(ValueError):
    """An address that cannot be used; the message says what was expected and holds no part of the address."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(text: str) -> None:
    """Check an address that notifications are sent to: `https://`, or `http://` on loopback.

    Raises:
        AddressError: it is something else.
    """
    scheme, host = _split(text)
    if scheme == "http" and not is_loopback(host):
        raise AddressError("expected an `https://` address; `http://` is allowed for loopback only")


def check_base_url(text: str) -> str:
    """Check an address that a path is added to, and return it without a slash at its end.

    Raises:
        AddressError: besides `check_url`'s reasons, it holds a user name, a query or a fragment.
    """
    check_url(text)
    _check_bare(text)
    return text.rstrip("/")


def check_public_url(text: str) -> str:
    """Check an address that people open: `http://` or `https://`. Return it without a slash at its end.

    Raises:
        AddressError: it is something else, or holds a user name, a query or a fragment.
    """
    _split(text)
    _check_bare(text)
    return text.rstrip("/")


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[address]:port`; port 0 lets the system choose.

    Raises:
        AddressError: it is something else.
    """
    host, colon, digits = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    well_formed = colon and host and _VISIBLE.fullmatch(host) and re.fullmatch(r"[0-9]{1,5}", digits)
    if not well_formed or int(digits) > 65535:
        raise AddressError("expected `host:port` such as `127.0.0.1:9881` or `[::1]:9881`")
    return host, int(digits)


def listen_text(host: str, port: int) -> str:
    """Return `host:port`, with an IPv6 address in brackets: what `parse_listen` takes."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(text: str) -> tuple[str, str]:
    if len(text) > MAX_URL:
        raise AddressError(f"expected an address of at most {MAX_URL} characters, found {len(text)}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # `port` raises where it is no number
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not _VISIBLE.fullmatch(text):
        raise AddressError("expected an address such as `https://host/path`")
    return parts.scheme, host


def _check_bare(text: str) -> None:
    parts = urlsplit(text)
    if parts.username is not None or "?" in text or "#" in text:
        raise AddressError("expected an address without user name, `?` and `#`")
