"""Where a message goes is said by the configuration alone, and only a service with a good certificate gets it."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import msgspec
import pytest
from channel_cases import CASES, NOW, Case, actions, notification, requests
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.channels.base import Failure, Request, Response
from sidecar.channels.transport import Transport
from sidecar.config import document
from sidecar.core.notification import Link
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Answer, Service

EVIL = "https://evil.example/x"


def addresses(case: Case, **changes: object) -> set[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Return method, address and headers of every request about a notification, but for what names the body."""
    channel = case.channel("https://service.example.net")
    found = set()
    for action in actions(case):
        body = channel.render(notification(action=action, **changes), None)
        for made in requests(channel, body, key=case.key()):
            headers = {name: value for name, value in made.headers.items() if not name.startswith("X-LuminaLog-")}
            found.add((made.method, made.url, tuple(sorted(headers.items()))))
    return found


FIELDS = (
    "title", "summary", "headline", "rule", "source", "service", "environment", "namespace", "host", "error_type",
    "root_cause", "trace_id", "grouping", "resolve_reason", "dedup_key", "incident_id", "incident_url",
)  # fmt: skip
HOSTILE = st.sampled_from(
    [EVIL, "//evil.example", "@evil.example", "../../x", "?url=" + EVIL, "\r\nHost: evil.example"]
)


@settings(max_examples=30)
@given(
    case=st.sampled_from(list(CASES.values())), changed=st.dictionaries(st.sampled_from(FIELDS), HOSTILE), more=HOSTILE
)
def test_nothing_in_a_notification_changes_where_it_goes(case: Case, changed: dict[str, str], more: str) -> None:
    changes: dict[str, object] = {
        **changed,
        "samples": (more,), "notes": (more,), "folded": (more,), "labels": {more: more}, "group": {more: more},
        "links": (Link(more, more),), "resolved_at": NOW,
    }  # fmt: skip
    assert addresses(case, **changes) == addresses(case, resolved_at=NOW)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int, stand_in: StandIn, transport: Transport) -> None:
    stand_in.script(Service.WEBHOOK, Answer(status=status, headers={"Location": stand_in.slack_url}))
    answer = await transport.send(Request(method="POST", url=stand_in.webhook_url, headers={}, body=b"{}"))
    assert isinstance(answer, Response)
    assert answer.status == status
    assert [received.service for received in stand_in.received] == [Service.WEBHOOK]


async def test_a_service_with_a_certificate_of_its_own_making_gets_nothing(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *new, *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0, ssl=context) as server, Transport() as transport:
        port = server.sockets[0].getsockname()[1]
        request = Request(method="POST", url=f"https://127.0.0.1:{port}/", headers={}, body=b"{}")
        failure = await transport.send(request)
    assert isinstance(failure, Failure)
    assert (failure.never_sent, failure.detail) == (True, "certificate refused: self-signed certificate")
    assert received == []


def test_no_key_of_the_configuration_turns_verification_off() -> None:
    sections = [kind for kind in vars(document).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    names = {field.name for kind in sections for field in msgspec.structs.fields(kind)}
    assert "webhook_url" in names
    assert [name for name in names if re.search("verif|insecure|skip|trust|check_host|redirect", name)] == []
