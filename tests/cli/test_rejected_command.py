"""`rejected` finds the daemon, shows what it keeps, and says in one line why it cannot."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from aiohttp import web
from api_kit import EPOCH, quarantine, serving

from sidecar.cli import client, rejected
from sidecar.cli.client import TOKEN_VARIABLE
from sidecar.core.quarantine import Quarantine
from sidecar.telemetry.rejections import rejected_endpoint

TOKEN = "tok-zq8zq8zq8zq8"
Capture = pytest.CaptureFixture[str]


async def command(*words: str) -> int:
    """Run the command beside the server that it asks."""
    parser = argparse.ArgumentParser()
    rejected.add_arguments(parser)
    return await asyncio.to_thread(rejected.run, parser.parse_args(words))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setenv("COLUMNS", "60")


async def test_people_get_whole_lines_on_stdout_and_the_numbers_on_stderr(capsys: Capture) -> None:
    kept = quarantine()
    kept.add("a-longer-name", "s", EPOCH, [("too_deep", b"[" * 200 + b"\x07\n\xe2\x80\xae[bold]")])
    async with serving(rejected_endpoint(kept)) as url:
        assert await command("--url", url) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "TIME                      INPUT          REASON        SAMPLE",
        f"2027-01-15T08:00:00.000Z  a-longer-name  too_deep      {'[' * 200}\\x07\\n\\u202e[bold]",
        "2027-01-15T08:00:01.500Z  in             torn          y",
        "2027-01-15T08:00:00.000Z  app            torn          x",
        '2027-01-15T08:00:00.000Z  app            invalid_json  {"a\ufffd',
    ]
    assert err == "4 of 4 rejected records that are kept (quarantine_max: 2,000)\n"


async def test_a_terminal_gets_lines_of_its_width_and_colours(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    kept = Quarantine([], 10)
    kept.add("in", "s", EPOCH, [("torn", b"abcdefghi " * 20)])
    async with serving(rejected_endpoint(kept)) as url:
        await command("--url", url)
    head, line = capsys.readouterr().out.splitlines()
    assert head == "\x1b[1mTIME                      INPUT  REASON  SAMPLE\x1b[0m"
    assert line == "\x1b[2m2027-01-15T08:00:00.000Z\x1b[0m  in     torn    abcdefghi abcdefgh…"


async def test_programs_get_one_document_that_cannot_steer_a_terminal(capsys: Capture) -> None:
    kept = Quarantine([], 10)
    kept.add("in", "s", EPOCH, [("torn", "\x9b31m\x7f \u202e".encode())])
    async with serving(rejected_endpoint(kept)) as url:
        assert await command("--url", url, "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.replace("\n", "").isprintable()
    assert out.isascii()
    record = {"id": 1, "time": "2027-01-15T08:00:00.000Z", "input": "in", "source": "s", "reason": "torn"}
    assert json.loads(out) == {"rejected": [{**record, "sample": "\x9b31m\x7f \u202e"}], "kept": 1, "max": 10}


@pytest.mark.parametrize(
    ("words", "ids"),
    [(["--limit", "1"], [3]), (["--input", "app"], [2, 1]), (["--reason", "torn", "--input", "app"], [2])],
)
async def test_records_are_chosen_by_the_daemon(words: list[str], ids: list[int], capsys: Capture) -> None:
    async with serving(rejected_endpoint(quarantine())) as url:
        assert await command("--url", url, "--json", *words) == 0
    assert [record["id"] for record in json.loads(capsys.readouterr().out)["rejected"]] == ids


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (0, "quarantine_max is 0: rejected records are counted, and none is kept\n"),
        (5, "0 of 0 rejected records that are kept (quarantine_max: 5)\n"),
    ],
)
async def test_where_nothing_is_kept_that_is_said(most: int, said: str, capsys: Capture) -> None:
    async with serving(rejected_endpoint(Quarantine([], most))) as url:
        assert await command("--url", url) == 0
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("way", ["argument", "file", "environment", "config", "config's file"])
async def test_the_token_comes_from_an_argument_a_file_the_environment_or_the_configuration(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file, config = tmp_path / "token", tmp_path / "sidecar.yaml"
    file.write_text(f"{TOKEN}\n")
    async with serving(rejected_endpoint(quarantine()), token=TOKEN) as url:
        words = ["--url", url]
        match way:
            case "argument":
                words += ["--token", TOKEN]
            case "file":
                words += ["--token-file", str(file)]
            case "environment":
                monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
            case _:
                token = "token_file: token" if "file" in way else "token: '${ADMIN_TOKEN}'"
                monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
                # The daemon's other secrets are not there for whoever asks.
                config.write_text(
                    f"channels: {{s: {{type: slack, webhook_url: '${{UNSET}}'}}}}\n"
                    f"admin: {{listen: '{url.removeprefix('http://')}', {token}}}\n"
                )
                words = ["--config", str(config)]
        assert await command(*words) == 0, capsys.readouterr().err


async def test_a_listener_on_all_addresses_is_found_on_loopback(tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "sidecar.json"
    async with serving(rejected_endpoint(quarantine()), token=TOKEN) as url:
        config.write_text(json.dumps({"admin": {"listen": f"0.0.0.0:{url.rpartition(':')[2]}", "token": TOKEN}}))
        assert await command("--config", str(config)) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], f"a bearer token is needed: give --token-file or ${TOKEN_VARIABLE}"),
        (["--token", "zq8-wrong"], "the token is not valid"),
        (["--token", "zq8-wr\nong"], "the address or the token holds characters that cannot be sent"),
        (["--token", TOKEN, "--limit", "0"], "limit: expected a number from 1 to 1,000"),
        (["--token", TOKEN, "--reason", "odd"], "reason: expected `invalid_json`"),
    ],
)
async def test_a_daemon_that_refuses_exits_2_in_its_own_words_and_shows_no_token(
    words: list[str], said: str, capsys: Capture
) -> None:
    async with serving(rejected_endpoint(quarantine()), token=TOKEN) as url:
        assert await command("--url", url, *words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"{url}: {said}")
    assert "zq8" not in err


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_a_daemon_that_does_not_run_exits_2(capsys: Capture) -> None:
    address = closed_port()
    assert await command("--url", f"http://{address}") == 2
    assert capsys.readouterr() == ("", f"http://{address}: connection refused: is the daemon running?\n")


async def test_tls_where_there_is_none_exits_2(capsys: Capture) -> None:
    async with serving(rejected_endpoint(quarantine())) as url:
        assert await command("--url", url.replace("http", "https")) == 2
    assert "TLS failed: the listener itself speaks http://" in capsys.readouterr().err


async def test_a_certificate_that_nobody_vouches_for_exits_2(tmp_path: Path, capsys: Capture) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("a certificate needs openssl to be made")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "key"]
    words = ["req", "-x509", *key, "-subj", "/CN=localhost", "-out", tmp_path / "cert"]
    made = subprocess.run([openssl, *words], capture_output=True)
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    async with await asyncio.start_server(silent, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert await command("--url", f"https://127.0.0.1:{port}") == 2
    assert (
        capsys.readouterr().err == f"https://127.0.0.1:{port}: the certificate was refused: self-signed certificate\n"
    )


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "answered 200, and not as a luminalog-sidecar does"),
        (200, '{"took": 1}', "answered 200, and not as a luminalog-sidecar does"),
        (200, "[" * 100_000, "answered 200, and not as a luminalog-sidecar does"),
        (302, "", "answered 302, and not as a luminalog-sidecar does"),
        (404, "404: Not Found", "answered 404, and not as a luminalog-sidecar does"),
        (500, '{"error": "\\u001b[31mred"}', "\\x1b[31mred"),
    ],
)
async def test_somebody_else_who_answers_exits_2(status: int, body: str, said: str, capsys: Capture) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    assert await command("--url", url) == 2
    await runner.cleanup()
    assert capsys.readouterr() == ("", f"{url}: {said}\n")


async def test_an_answer_that_never_comes_exits_2(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TOTAL_SECONDS", 0.05)
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        assert await command("--url", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") == 2
    assert "no answer within 0.05 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("admin: {listen: '127.0.0.1:0'}", "admin.listen leaves the port to the system: give --url"),
        ("admin: {listen: here}", "expected `host:port`"),
        ("admin: {token: '${UNSET}'}", "UNSET"),
        ("admin: [", "not valid YAML"),
        (None, "no such file"),
    ],
)
async def test_a_configuration_that_does_not_say_where_exits_2(
    text: str | None, said: str, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "sidecar.yaml"
    if text is not None:
        config.write_text(text)
    assert await command("--config", str(config)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "127.0.0.1:9881"], "--url: expected an address"),
        (["--url", "http://user:zq8@127.0.0.1"], "--url: expected an address without user name"),
        (["--url", "http://127.0.0.1", "--token-file", "/none"], "/none: there is no such file"),
        (["--url", "http://127.0.0.1", "--token-file", "/dev/null"], "/dev/null: "),
    ],
)
async def test_arguments_that_cannot_be_used_exit_2(words: list[str], said: str, capsys: Capture) -> None:
    assert await command(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert "zq8" not in err


@pytest.mark.parametrize(
    "words", [[], ["--url", "http://x", "--config", "y"], ["--url", "u", "--token", "a", "--token-file", "b"]]
)
async def test_one_way_to_the_daemon_has_to_be_named(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        await command(*words)
    assert exit_.value.code == 2
