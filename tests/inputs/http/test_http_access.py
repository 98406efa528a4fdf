"""Who may send: by token, by address, and by certificate."""

from __future__ import annotations

import asyncio
import base64
import gzip
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from http_world import NOW, Client, World, post

from sidecar.config.model import HttpInput
from sidecar.config.secrets import Secret
from sidecar.inputs.http import HttpListener
from sidecar.inputs.http.auth import Access, Gate

GOOD = b'{"level":"error","message":"it broke","error_type":"E"}'
KEY = "s3cr3t-t0ken-of-the-first"


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {KEY[:-1]}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": KEY}, 401),
        ({"Authorization": f"Negotiate {KEY}"}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": basic(KEY)}, 401),
        ({"X_Api_Key": "wrong"}, 401),
        ({"Authorization": "Bearer second"}, 200),
        ({"Authorization": f"bearer  {KEY}"}, 200),
        ({"Authorization": basic(f"anybody:{KEY}")}, 200),
        ({"Authorization": basic(f":{KEY}")}, 200),
        ({"X_Api_Key": KEY}, 200),
        ({"X_Api_Key": "a gateway's own", "Authorization": f"Bearer {KEY}"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/ingest", "/v1/logs"])
async def test_a_client_needs_one_of_the_tokens(headers: dict[str, str], status: int, path: str) -> None:
    """Several are valid at once, so that they can be changed one after the other. No token is ever shown."""
    world = World(tokens=(Secret(KEY), Secret("second")))
    body = GOOD if path == "/ingest" else b'{"logs":[%b]}' % GOOD
    async with world.listening() as listener:
        client = await world.client(listener)
        answer = await client.send(post(body, path, **headers))
        assert answer[0] == status
        assert len(world.judge.decided) == (status == 200)
        assert (await client.send(post(body, path, X_Api_Key=KEY)))[0] == 200, "the connection goes on"
        assert ("www-authenticate" in answer[1]) is (status == 401)
    for text in (repr(answer), repr(world.config), repr(listener.__dict__), repr(world.events.__dict__)):
        assert KEY not in text


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        (None, True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("128.0.0.1", False),
        ("fe80::1%eth0", False),
        ("2001:db8::1", False),
        ("::", False),
        ("0.0.0.0", False),
    ],
)
def test_without_tokens_only_this_machine_may_send_unless_everybody_may(peer: str | None, local: bool) -> None:
    headers = {"authorization": "Bearer anything"}
    assert Gate((), allow_anonymous=False).check(headers, peer) is (Access.GRANTED if local else Access.NOT_LOCAL)
    assert Gate((), allow_anonymous=True).check(headers, peer) is Access.GRANTED


async def test_a_peer_elsewhere_is_refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.inputs.http.auth._is_local", lambda peer: False)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        assert (await client.send(post(GOOD)))[0] == 403
    assert world.judge.decided == []


async def test_strangers_cannot_make_us_hold_large_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the body is only seen at its end: until then the body is kept small."""
    monkeypatch.setattr("sidecar.inputs.http.bodies.MAX_STRANGER_BYTES", 1_000)
    world = World(tokens=(Secret(KEY),))
    body = b'{"api_key":"%b","logs":[%b]}' % (KEY.encode(), b",".join([GOOD] * 100))
    async with world.listening() as listener:
        client = await world.client(listener)
        status, _, answer = await client.send(post(body, "/v1/logs").removesuffix(body))
        assert (status, b"header" in answer) == (401, True)
        packed = gzip.compress(body)
        client = await world.client(listener)
        status, _, answer = await client.send(post(packed, "/v1/logs", Content_Encoding="gzip"))
        assert (status, b"header" in answer, len(packed) < 1_000) == (401, True, True)
        client = await world.client(listener)
        assert (await client.send(post(body, "/v1/logs", X_Api_Key=KEY)))[0] == 200


class Pki(NamedTuple):
    """Certificates for a server and a client, who vouches for both, and one of nobody's."""

    ca: Path
    server: Path
    client: Path
    stranger: Path


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificates")
    place = tmp_path_factory.mktemp("pki")

    def make(name: str, *options: str) -> Path:
        path = place / f"{name}.pem"
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        files = ["-keyout", path.with_suffix(".key"), "-out", path, "-subj", f"/CN={name}"]
        subprocess.run(["openssl", "req", "-x509", *new, *files, *options], check=True, capture_output=True)
        return path

    ca = make("ca")
    signed = ("-CA", str(ca), "-CAkey", str(ca.with_suffix(".key")), "-addext", "basicConstraints=critical,CA:FALSE")
    return Pki(
        ca, make("server", *signed, "-addext", "subjectAltName=IP:127.0.0.1"), make("client", *signed), make("other")
    )


def tls_world(pki: Pki, **settings: str) -> World:
    return World(tls_cert=str(pki.server), tls_key=str(pki.server.with_suffix(".key")), **settings)


def trusting(pki: Pki, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.ca)
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


async def test_logs_come_in_over_tls_and_a_repetition_is_known(pki: Pki) -> None:
    world = tls_world(pki)
    async with world.listening() as listener:
        for _ in range(2):
            client = await world.client(listener, trusting(pki))
            assert (await client.send(post(GOOD)))[0] == 200
            await client.cut()
    assert (len(world.judge.decided), world.events.repetitions) == (1, 1)


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
async def test_an_orderly_close_of_tls_shows_that_the_answer_was_heard(pki: Pki, headers: dict[str, str]) -> None:
    world = tls_world(pki)
    async with world.listening() as listener:
        for _ in range(2):
            client = await world.client(listener, trusting(pki))
            assert (await client.send(post(GOOD, **headers)))[0] == 200
            await client.close()
            await client.rest()
            await world.heard()
    assert (len(world.judge.decided), world.events.repetitions) == (2, 0)


async def test_who_speaks_no_tls_is_not_heard(pki: Pki) -> None:
    world = tls_world(pki)
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(post(GOOD))
        await client.rest()
    assert (world.judge.decided, world.events.statuses) == ([], [])


async def test_with_a_client_ca_a_client_needs_a_certificate_of_it(pki: Pki) -> None:
    world = tls_world(pki, tls_client_ca=str(pki.ca))

    async def send(certificate: Path | None) -> Client:
        client = await world.client(listener, trusting(pki, certificate))
        await client.write(post(GOOD))
        return client

    async with world.listening() as listener:
        for certificate in (None, pki.stranger):
            try:
                assert await (await send(certificate)).reader.read() == b""
            except OSError:
                continue
        assert world.judge.decided == []
        assert (await (await send(pki.client)).answer())[0] == 200
    assert len(world.judge.decided) == 1


async def test_a_renewed_certificate_is_used_without_a_restart(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key comes after it: meanwhile the old pair is used, and that is said."""
    monkeypatch.setattr("sidecar.inputs.http.server.LOOK_SECONDS", 0.01)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(pki.server.read_bytes())
    key.write_bytes(pki.server.with_suffix(".key").read_bytes())
    world = World(tls_cert=str(certificate), tls_key=str(key))
    async with world.listening() as listener:
        assert (await (await world.client(listener, trusting(pki))).send(post(GOOD)))[0] == 200
        certificate.write_bytes(pki.stranger.read_bytes())
        while not world.events.troubles:
            await asyncio.sleep(0.01)
        assert (await (await world.client(listener, trusting(pki))).send(post(GOOD)))[0] == 200
        key.write_bytes(pki.stranger.with_suffix(".key").read_bytes())
        while not world.events.renewals:
            await asyncio.sleep(0.01)
        with pytest.raises(ssl.SSLCertVerificationError):
            await world.client(listener, trusting(pki))
    assert len(world.events.troubles) == 1
    assert "before are still used: TLS: key values mismatch" in world.events.troubles[0]


async def test_an_address_that_is_taken_is_tried_again_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.inputs.http.server.FIRST_RETRY_SECONDS", 0.01)
    world = World()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.config = HttpInput(name="http", port=port)
        listener = HttpListener(world.config, positions={}, clock=lambda: NOW, events=world.events)
        running = asyncio.create_task(listener.run(world.judge))
        while len(world.events.troubles) < 2:
            await asyncio.sleep(0.01)
        assert (listener.looked, listener.trouble) == (False, world.events.troubles[0])
        assert listener.trouble == f"cannot listen on 127.0.0.1:{port}: address already in use"
    while not listener.looked:
        await asyncio.sleep(0.01)
    assert listener.trouble == ""
    running.cancel()
    await asyncio.wait({running})


async def test_files_of_tls_that_are_missing_are_named(tmp_path: Path) -> None:
    world = World(tls_cert=str(tmp_path / "none.pem"))
    listener = HttpListener(world.config, positions={}, clock=lambda: NOW, events=world.events)
    running = asyncio.create_task(listener.run(world.judge))
    while not world.events.troubles:
        await asyncio.sleep(0.01)
    assert "no such file or directory" in world.events.troubles[0]
    running.cancel()
    await asyncio.wait({running})
