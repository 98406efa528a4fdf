"""Generates log records whose true cause is known, to measure grouping by: the same for the same seed.

Messages are written as applications write them, without a look at how they are masked. What makes it hard is in here on
purpose: one cause in quite different words, other causes in nearly the same words, names that stand without quotes and
look like any word, causes that differ in a host name alone, error types that are missing, that say nothing, that
several causes share, or that vary for one cause.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NAMES = re.findall(
    r"\w+", "alice bob carol dmitri eve frank Grace heidi ivan Judy mallory niaj olivia peggy rupert sybil"
)
PLACES = re.findall(r"\w+", "Berlin Lagos Osaka Lima Oslo Quito Pune Austin")
WORDS = re.findall(
    r"\w+",
    "cache index shard queue batch token cursor ledger invoice parcel voucher basket session widget "
    "report feed lock stream topic replica schema export import rollup quota alias mirror proxy planner "
    "sampler ",
)
VERBS = re.findall(
    r"\w+", "stalled vanished drifted overflowed expired diverged collided rejected looped leaked starved desynced "
)

PARAMETERS: dict[str, Callable[[random.Random], str]] = {
    "n": lambda r: str(r.randrange(10 ** r.randrange(1, 8))),
    "f": lambda r: f"{r.random() * 100:.2f}",
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4)),
    "hex": lambda r: f"{r.getrandbits(64):016x}",
    "sha": lambda r: f"{r.getrandbits(160):040x}"[:7],
    "id": lambda r: (
        r.choice(["ord", "cus", "pay"]) + "_" + "".join(r.choices("abcdefghjkmnpqrstuvwxyz0123456789", k=14))
    ),
    "code": lambda r: "".join(r.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=2)) + f"-{r.randrange(10000):04d}",
    "ip": lambda r: ".".join(str(r.randrange(1, 255)) for _ in range(4)),
    "port": lambda r: str(r.randrange(1024, 65536)),
    "host": lambda r: f"{r.choice(['db', 'cache', 'node', 'ip'])}-{r.randrange(40)}.{r.choice(['eu', 'us'])}.internal",
    "pod": lambda r: (
        f"{r.choice(['web', 'worker'])}-{r.getrandbits(36):09x}-" + "".join(r.choices("bcdfghjklmnpqrstvwxz", k=5))
    ),
    "path": lambda r: (
        "/" + "/".join(r.choices(["var", "data", "tmp", "srv", "app", "uploads"], k=3)) + f"/{r.randrange(999)}.bin"
    ),
    "url": lambda r: (
        f"https://{r.choice(['api', 'cdn'])}.{r.choice(['acme', 'vendor'])}.example/v{r.randrange(1, 4)}"
        f"/{r.randrange(9999)}?k={r.getrandbits(32):x}"
    ),
    "email": lambda r: f"{r.choice(NAMES)}.{r.randrange(99)}@mail.example",
    "name": lambda r: r.choice(NAMES),
    "place": lambda r: r.choice(PLACES),
    "q": lambda r: r.choice(['"{}"', "'{}'"]).format(" ".join(r.choices(WORDS, k=r.randrange(1, 4)))),
    "dur": lambda r: r.choice(["{}ms", "{} ms", "{}s", "{} seconds"]).format(r.randrange(1, 30000)),
    "size": lambda r: r.choice(["{}KB", "{} MB", "{} bytes", "{}MiB"]).format(r.randrange(1, 9000)),
    "ts": lambda r: f"{datetime.fromtimestamp(1.7e9 + r.randrange(10**7), UTC):%Y-%m-%dT%H:%M:%SZ}",
    "list": lambda r: "[" + ", ".join(str(r.randrange(999)) for _ in range(r.randrange(1, 6))) + "]",
}


@dataclass(frozen=True)
class Cause:
    """What goes wrong in these services; each of them is a trouble of its own."""

    services: tuple[str, ...]
    messages: tuple[str, ...]
    types: tuple[str | None, ...] = (None,)
    """One of them stands in the record."""


@dataclass(frozen=True)
class Logged:
    """A record with its truth."""

    cause: str
    service: str
    error_type: str | None
    message: str


def _cause(services: str, *messages: str, types: str = "-") -> Cause:
    named = tuple(None if word == "-" else word for word in types.split())
    return Cause(tuple(services.split()), messages, named)


CAUSES = (
    # One site logs it; the values differ.
    _cause("checkout", "Payment {id} declined by gateway after {dur}: code {n}", types="PaymentDeclined"),
    _cause("checkout orders", "Order {code} not found for customer {uuid}", types="NotFoundError"),
    _cause(
        "orders", "Deadlock found when trying to get lock on row {n}; try restarting transaction", types="DatabaseError"
    ),
    _cause("search", "Shard {n} on {host} did not answer within {dur}", types="TimeoutError"),
    _cause("search", "Index segment {path} is corrupt at offset {n} (checksum {hex})"),
    _cause("media", "Upload of {size} exceeds the limit of {size} for {email}", types="Error"),
    _cause("media", "ffmpeg exited with {n} while transcoding {path}", types="Error"),
    _cause("media", "Cannot fetch source {url}: HTTP {n}", types="Error"),
    _cause("login", "Token for {email} expired at {ts}", types="-"),
    _cause("login cart", "Rate limit of {n} requests in {dur} reached for {ip}", types="-"),
    _cause("mail", "SMTP 4{n} from {host}:{port}: mailbox {email} is over quota", types="SMTPResponseError"),
    _cause("mail", "Template {q} has no translation for locale {q}", types="KeyError"),
    _cause("billing", "Invoice {code} has {n} lines but {n} were expected {list}", types="AssertionError"),
    _cause("billing", "Currency {q} is not supported for merchant {n}", types="ValueError"),
    _cause("batch", "Job {uuid} ran out of memory: {size} of {size} used on {pod}", types="-"),
    _cause("batch", "Checkpoint {sha} is older than {ts}, starting over", types="-"),
    _cause("gateway", "upstream prematurely closed connection while reading response header from {ip}:{port}"),
    _cause("gateway", "no live upstreams while connecting to upstream {q}, client {ip}"),
    # Several sites, versions or libraries tell of one cause in somewhat different words.
    _cause(
        "checkout",
        "could not connect to database at {host}:{port}: connection refused",
        "Could not connect to the database {q} at {ip}:{port} (connection refused)",
        "retry {n}: could not connect to database at {ip}:{port}, connection refused",
        types="- OperationalError DatabaseError",
    ),
    _cause(
        "cart",
        "Redis command GET {q} timed out after {dur}",
        "Redis command SET {q} timed out after {dur} on {host}:{port}",
        "Redis pipeline of {n} commands timed out after {dur}",
        types="TimeoutError RedisTimeoutError -",
    ),
    _cause(
        "orders",
        "Failed to publish event {uuid} to topic orders: broker {n} not available",
        "Failed to publish {n} events to topic orders, broker {host}:{port} not available",
        "Giving up after {n} attempts: failed to publish event {uuid} to topic orders, broker not available",
        types="RuntimeException KafkaException",
    ),
    _cause(
        "login",
        "LDAP bind for user {name} failed: server {host} is down",
        "LDAP search for user {name} failed: server {host} is down",
        "LDAP bind failed for {email}: the server {ip} is down",
        types="LdapError - RuntimeException",
    ),
    _cause(
        "billing",
        "Tax service answered {n} for order {code} in {dur}",
        "Tax service answered {n} for orders {list} in {dur}",
        "Tax service did not answer for order {code} within {dur}",
        types="TaxError HttpError",
    ),
    _cause(
        "media",
        "No space left on device: cannot write {path} ({size})",
        "cannot write {path}: No space left on device",
        "OSError while writing chunk {n} of {path}: No space left on device",
        types="OSError Error",
    ),
    _cause(
        "mail",
        "Certificate of {host} expired at {ts}",
        "TLS handshake with {host}:{port} failed, certificate of {host} expired at {ts}",
        types="SSLError -",
    ),
    _cause(
        "gateway",
        "JWT signature of request {hex} is invalid: key {sha} unknown",
        "JWT of client {ip} is invalid, key {sha} is unknown (request {hex})",
        types="- AuthError",
    ),
    # Names without quotes: to a machine they are words like any other.
    _cause("login", "Password of {name} from {place} is wrong", types="AuthError"),
    _cause("shipping", "Parcel {code} to {place} has no carrier", types="ShippingError"),
    _cause("shipping", "Carrier refuses parcel of {name} to {place}: weight {f} kg", types="ShippingError"),
    # Other causes in nearly the same words: only one or two of them tell.
    _cause("profile", "Failed to load profile of user {n}: timeout after {dur}", types="Error"),
    _cause("profile", "Failed to load avatar of user {n}: not found on {host}", types="Error"),
    _cause("profile", "Failed to save profile of user {n}: version {n} is stale", types="Error"),
    _cause("orders", "Cannot cancel order {code}: already shipped", types="IllegalStateException"),
    _cause("orders", "Cannot cancel order {code}: already refunded", types="IllegalStateException"),
    _cause("search", "Query {hex} failed: too many clauses", types="QueryError"),
    _cause("search", "Query {hex} failed: field {q} has no index", types="QueryError"),
    # Causes that differ in a host name alone.
    _cause("batch", "connect to warehouse.internal:5439 failed: connection reset by peer", types="IOException"),
    _cause("batch", "connect to ledger.internal:5432 failed: connection reset by peer", types="IOException"),
    # One cause in words that have nothing in common.
    _cause(
        "shipping",
        "Label printer {host} offline",
        "queue of {n} jobs is growing, oldest from {ts}",
        "printing {code} was given up",
        types="PrinterError -",
    ),
    _cause(
        "cart",
        "Feature flag service unreachable, using defaults",
        "GET {url} -> {n} ({dur})",
        types="- HttpError",
    ),
    # One site and type, and messages of any length.
    _cause("profile", "Validation of {n} fields failed {list}", types="ValidationError"),
    _cause("cart", "Coupon {q} cannot be combined with {q}, {q} and {n} others", types="CouponError"),
)


def fill(message: str, rng: random.Random) -> str:
    """Replace each `{parameter}` by a value of its own."""
    out = []
    for piece in message.split("{"):
        name, brace, rest = piece.partition("}")
        out.append(PARAMETERS[name](rng) + rest if brace and name in PARAMETERS else piece)
    return "".join(out)


def records(seed: int) -> list[Logged]:
    """Return a few thousand records of about 45 causes and 150 that happen once or twice, in mixed order."""
    rng = random.Random(seed)
    found: list[Logged] = []
    for number, cause in enumerate(CAUSES):
        for service in cause.services:
            for _ in range(rng.randrange(8, 80)):
                message = fill(rng.choice(cause.messages), rng)
                found.append(Logged(f"{number}", service, rng.choice(cause.types), message))
    services = sorted({one.service for one in found})
    for number in range(150):
        words = rng.sample(WORDS, 2)
        text = rng.choice(
            ["{0} {v} behind {1}", "the {0} of {1} {v}", "{v}: {0} {1} at {{n}}", "{0} {{id}} {v}, {1} {{dur}} late"]
        )
        message = text.format(*words, v=rng.choice(VERBS))
        service, error_type = rng.choice(services), rng.choice([None, "Error", "RuntimeException"])
        found += [
            Logged(f"noise {number}", service, error_type, fill(message, rng)) for _ in range(rng.randrange(1, 3))
        ]
    rng.shuffle(found)
    return found
