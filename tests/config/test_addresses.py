"""Where to listen is written as it is read."""

from __future__ import annotations

import pytest

from sidecar.config.addresses import listen_text, parse_listen


@pytest.mark.parametrize("text", ["127.0.0.1:9881", "[::1]:0", "[fe80::1%eth0]:65535", "sidecar.example.com:1"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert listen_text(*parse_listen(text)) == text
