"""Asks the running daemon: finds its admin listener and its token, and says in one line why there is no answer.

The listener is found by `--config`, of whose file only `admin` is read (the daemon's other secrets may not be there for
whoever asks), or by `--url`. A token on the command line can be seen by everybody on the machine, so it may as well
come from a file or from the environment. It is never shown.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import getpass
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from sidecar import __version__
from sidecar.cli.terminal import printable
from sidecar.config.addresses import AddressError, check_public_url, listen_text
from sidecar.config.files import MAX_SECRET_BYTES, FileProblemError, read_file
from sidecar.config.load import load_admin
from sidecar.config.secrets import Secret

TOKEN_VARIABLE: Final = "LUMINALOG_ADMIN_TOKEN"  # noqa: S105 (a name)

TOTAL_SECONDS: Final = 30.0
"""For a whole exchange: the daemon answers within milliseconds, if it answers at all."""

CONNECT_SECONDS: Final = 5.0

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Ten times the largest answer there is."""

ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (not bound to: replaced)
"""Where a listener on all addresses is found on its own machine."""


Answer = TypeVar("Answer")


class AskError(Exception):
    """The daemon could not be asked, or did not understand; the message is for people."""


class MissingError(AskError):
    """What was asked about is not there."""


class Daemon(NamedTuple):
    """Where a running daemon is."""

    url: str
    token: Secret | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the daemon is found."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", metavar="FILE", type=Path, help="the daemon's configuration file")
    where.add_argument("--url", help="address of the daemon's admin listener, such as http://127.0.0.1:9881")
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token", help="its token; others on this machine can see it: better --token-file")
    token.add_argument(
        "--token-file", metavar="FILE", type=Path, help=f"file that holds it; with --url also ${TOKEN_VARIABLE}"
    )


def find(args: argparse.Namespace, environment: Mapping[str, str]) -> Daemon:
    """Return where the daemon is, as the arguments say. Raises `AskError`."""
    token = _token(args)
    if args.config is not None:
        admin, problems = load_admin(args.config, environment)
        if admin is None:
            raise AskError("\n".join(str(problem) for problem in problems))
        if admin.port == 0:
            raise AskError(f"{args.config}: admin.listen leaves the port to the system: give --url")
        host = ANY_ADDRESS.get(admin.host, admin.host)
        return Daemon(f"http://{listen_text(host, admin.port)}", token or admin.token)
    try:
        url = check_public_url(args.url)
    except AddressError as error:
        raise AskError(f"--url: {error}") from None
    given = environment.get(TOKEN_VARIABLE)
    return Daemon(url, token or (Secret(given) if given else None))


def author(by: str | None) -> str:
    """Return who says something: who the arguments name, else whoever runs the command."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"user {os.getuid()}"


def get(daemon: Daemon, path: str, query: Mapping[str, str], kind: type[Answer]) -> Answer:
    """Return what the daemon answers to `GET /api/v1/<path>`. Raises `AskError`."""
    return asyncio.run(_ask(daemon, "GET", path, query, None, kind))


def post(daemon: Daemon, path: str, body: Mapping[str, object], kind: type[Answer]) -> Answer:
    """Return what the daemon answers to `POST /api/v1/<path>`. Raises `AskError`."""
    return asyncio.run(_ask(daemon, "POST", path, {}, body, kind))


async def _ask(
    daemon: Daemon,
    method: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, object] | None,
    kind: type[Answer],
) -> Answer:
    headers = {"User-Agent": f"luminalog-sidecar/{__version__}"}
    if daemon.token is not None:
        headers["Authorization"] = f"Bearer {daemon.token.reveal()}"
    timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(
                method, URL(f"{daemon.url}/api/v1/{path}", encoded=True), params=query, json=body, allow_redirects=False
            ) as response,
        ):
            status, told = response.status, await _read(response.content)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:  # their own words may hold the token
        raise AskError(f"{daemon.url}: {_reason(problem)}") from None
    try:
        if status == 200:
            return msgspec.json.decode(told, type=kind)
        said = printable(msgspec.json.decode(told, type=_Refusal).error)
    except ValueError:
        raise AskError(f"{daemon.url}: answered {status}, and not as a luminalog-sidecar does") from None
    if status == 401 and daemon.token is None:
        said += f": give --token-file or ${TOKEN_VARIABLE}"
    raise (MissingError if status == 404 else AskError)(f"{daemon.url}: {said}")


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    while len(body) < MAX_ANSWER_BYTES and (chunk := await content.readany()):
        body += chunk
    return bytes(body)


class _Refusal(msgspec.Struct):
    error: str


def _token(args: argparse.Namespace) -> Secret | None:
    if args.token_file is None:
        return Secret(args.token) if args.token else None
    try:
        text = read_file(args.token_file, MAX_SECRET_BYTES).data.decode().strip()
    except FileProblemError as problem:
        raise AskError(f"{args.token_file}: {problem}") from None
    except UnicodeDecodeError:
        raise AskError(f"{args.token_file}: expected text in UTF-8") from None
    if not text:
        raise AskError(f"{args.token_file}: expected a token, but the file is empty")
    return Secret(text)


def _reason(problem: Exception) -> str:
    """Say why there is no answer."""
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {CONNECT_SECONDS:g} seconds"
        case TimeoutError():
            return f"no answer within {TOTAL_SECONDS:g} seconds"
        case aiohttp.ClientConnectorDNSError():
            return "the host name could not be resolved"
        case aiohttp.ClientConnectorCertificateError():
            error = problem.certificate_error
            verdict = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "not valid"
            return f"the certificate was refused: {verdict}"
        case aiohttp.ClientSSLError():
            return "TLS failed: the listener itself speaks http://, a proxy in front of it may speak https://"
        case aiohttp.ClientConnectorError(errno=errno.ECONNREFUSED):
            return "connection refused: is the daemon running?"
        case aiohttp.ClientConnectorError(errno=int(number)) if number in errno.errorcode:
            return f"could not connect: {os.strerror(number).lower()}"
        case ValueError() if not isinstance(problem, aiohttp.ClientError):
            return "the address or the token holds characters that cannot be sent"
        case _:
            return "the connection broke without an answer"
