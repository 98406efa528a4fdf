"""What the chart renders, run: the daemon by its arguments and configuration, and `helm test` against it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from chart_kit import MODES, ROOT, SECRETS, Rendered, render

PATIENCE = 30.0
EXAMPLES = sorted(path for path in (ROOT / "config").glob("*.yaml") if not path.stem.endswith(".tests"))


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Rendered, Path]]:
    """A daemon of mode `target` as its container would run it, on ports that are free here."""
    ingest, admin = free_ports(2)
    values = {"listenAddress": "127.0.0.1", "ports": {"ingest": ingest, "admin": admin}, "secrets": {"values": SECRETS}}
    rendered = render(values)
    rendered.config(tmp_path, {})
    file = tmp_path / "config" / "sidecar.json"
    file.write_text(file.read_text().replace("/var/lib/luminalog-sidecar", str(tmp_path / "var")))
    assert rendered.daemon["command"] == ["luminalog-sidecar"]
    arguments = [argument.replace("/etc/luminalog-sidecar", str(tmp_path)) for argument in rendered.daemon["args"]]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", *arguments), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while b'"started"' not in (line := await process.stderr.readline()):
                assert line, "it has ended"
        draining = asyncio.create_task(process.stderr.read())
        yield rendered, tmp_path
        process.terminate()
        assert await process.wait() == 0
        await draining
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def reach(rendered: Rendered) -> tuple[int, str, str]:
    """Run what the pod of `helm test` runs, but for the Service's name."""
    command = next(one for one in rendered.one("Pod")["spec"]["containers"] if one["name"] == "reach")["command"]
    assert command[3] == rendered.one("Service")["metadata"]["name"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command[1:3], "127.0.0.1", *command[4:]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_probes_and_helm_test_and_senders_reach_the_daemon(running: tuple[Rendered, Path]) -> None:
    rendered, directory = running
    ports = {port["name"]: port["containerPort"] for port in rendered.daemon["ports"]}
    probes = {kind: probe["httpGet"] for kind, probe in rendered.daemon.items() if kind.endswith("Probe")}
    assert probes.keys() == {"startupProbe", "livenessProbe", "readinessProbe"}
    log = '{"level":"fatal","message":"it broke","kubernetes":{"namespace_name":"shop"}}'
    async with aiohttp.ClientSession() as session:
        admin, ingest = (f"http://127.0.0.1:{ports[name]}" for name in ("admin", "ingest"))
        async with asyncio.timeout(PATIENCE):  # inputs start a moment after the listeners
            while (await session.get(f"{admin}/readyz")).status != 200:
                await asyncio.sleep(0.01)
        for probe in probes.values():
            assert (await session.get(f"http://127.0.0.1:{ports[probe['port']]}{probe['path']}")).status == 200
        assert (await session.get(f"{admin}/metrics")).status == 200
        assert (await session.get(f"{admin}/api/v1/incidents")).status == 401
        assert (await session.post(f"{ingest}/ingest/x", data=log)).status == 401
        token = {"Authorization": "Bearer and another"}
        assert (await session.post(f"{ingest}/ingest/x", data=log, headers=token)).status == 200
        token = {"Authorization": "Bearer an admin token"}
        async with session.get(f"{admin}/api/v1/incidents", headers=token) as answer:
            (incident,) = (await answer.json())["incidents"]
    assert incident["group"]["namespace"] == "shop"
    assert (directory / "var" / "state" / "state.db").exists()
    code, out, err = await reach(rendered)
    assert code == 0, err
    assert f"127.0.0.1 {ports['ingest']} is open" in out


async def test_helm_test_fails_where_nobody_listens() -> None:
    ingest, admin = free_ports(2)
    code, _, err = await reach(render({"ports": {"ingest": ingest, "admin": admin}}))
    assert code == 1
    assert "refused" in err


async def test_helm_test_says_who_is_not_ready_and_why() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nConnection: close\r\n\r\nstore failed")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        admin = server.sockets[0].getsockname()[1]
        code, _, err = await reach(render({"ports": {"admin": admin}}))
    assert (code, err.strip()) == (1, "127.0.0.1 is not ready: store failed")


@pytest.mark.parametrize("mode", MODES)
async def test_the_test_s_pod_checks_the_configuration_that_the_daemon_gets(mode: str) -> None:
    rendered = render({"mode": mode, "sidecar": {"example": {"enabled": True}}})
    check = rendered.one("Pod")["spec"]["containers"][0]
    assert check["command"] == ["luminalog-sidecar", "check", *rendered.daemon["args"][1:]]
    mounts = {mount["mountPath"] for mount in check["volumeMounts"]}
    assert mounts == {"/etc/luminalog-sidecar/config", "/etc/luminalog-sidecar/secrets"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_of_a_configuration_can_stand_under_config(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    for key in ("admin", "state_dir", "webhooks"):
        config.pop(key, None)
    rendered = render({"config": config})
    written = json.loads(rendered.config_map["data"]["sidecar.json"])
    assert {key: written[key] for key in config} == config


def test_the_documented_values_install_as_they_are(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text().partition("# values.yaml\n")[2].partition("```")[0]
    rendered = render(yaml.safe_load(text))
    key = "0123456789abcdef0123456789abcdef"
    loaded = rendered.config(tmp_path, {**SECRETS, "pagerduty-key": key})
    assert loaded.config is not None, loaded.problems
    assert [rule.name for rule in loaded.config.rules] == ["Fatal errors", "Error spike"]
    assert "NOBODY IS TOLD YET" not in rendered.notes
