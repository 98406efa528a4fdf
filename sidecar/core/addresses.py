"""Addresses that people are led to: made of templates and log lines, they may be anything."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

MAX_URL = 2048
"""Longest address passed on: below every service's limit, and what browsers and proxies commonly take."""


def web_address(text: str) -> str | None:
    """Return an http(s) address that services and browsers accept as a link, or None if it is not one."""
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port  # `port` raises where it is no number
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[a-z0-9._:-]+", host):
        return None
    address = quote(parts.geturl(), safe="%/:?#[]@!$&'*+,;=~-._", errors="replace")
    return address if len(address) <= MAX_URL else None
