"""No secret and no hostile text gets out: the real daemon meets success and failure, and all its output is searched.

Every secret of the configuration has a value of its own, a canary. Which fields are secret is read from the documents
that declare the configuration: one that nothing is planted in fails `test_every_secret_field_has_a_canary`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec.inspect as mi
import pytest
from running import DATABASE, World, patched

from sidecar.config import document
from sidecar.config.load import load
from sidecar.standin.person import Person
from sidecar.standin.slack_api import CHANNEL
from sidecar.standin.traffic import Answer, Received, Reset, Service

OTHER_SUBSCRIPTION = "SecretOfSomebodyElsesSubscription"
Field = tuple[str, str]


def secret_fields() -> set[Field]:
    """Return (section, field) of whatever is declared to be secret; a `_file` twin is its field's other form."""
    sections = {
        kind for kind in vars(document).values() if isinstance(kind, type) and issubclass(kind, document.Section)
    }
    return {
        (section.__name__, field.name)
        for section in sections
        for field in mi.type_info(section).fields  # type: ignore[union-attr]
        if field.name == "tls_key" or any(extra.get("secret") for extra in extras(field.type))
    }


def extras(kind: Any) -> Iterator[dict[str, Any]]:
    """Yield what is noted at a type, and at all that it is made of."""
    if isinstance(kind, mi.Metadata):
        yield kind.extra or {}
        yield from extras(kind.type)
    elif isinstance(kind, mi.UnionType):
        for part in kind.types:
            yield from extras(part)
    elif isinstance(kind, mi.ListType):
        yield from extras(kind.item_type)


def canary(section: str, field: str) -> str:
    """Return 32 letters and digits, as PagerDuty's keys have: nothing that redaction would know by its looks."""
    return hashlib.sha256(f"{section}.{field}".encode()).hexdigest()[:32]


PLANTED = {
    (section, field): canary(section, field)
    for section, field in (
        ("PagerDutyChannel", "routing_key"),
        ("SlackChannel", "webhook_url"),
        ("SlackChannel", "bot_token"),
        ("DiscordChannel", "webhook_url"),
        ("WebhookChannel", "url"),
        ("WebhookChannel", "secret"),
        ("HttpInput", "tokens"),
        ("HttpInput", "tls_key"),
        ("Admin", "token"),
        ("Webhooks", "pagerduty_secrets"),
        ("Webhooks", "pagerduty_token"),
        ("Rule", "pager_duty_key"),
        ("Heartbeat", "url"),
    )
}
KNOWN: dict[Service, set[Field]] = {
    Service.PAGERDUTY: {("PagerDutyChannel", "routing_key"), ("Rule", "pager_duty_key")},
    Service.SLACK: set(),  # two channels share it here, and neither knows the other's secret
    Service.DISCORD: {("DiscordChannel", "webhook_url")},
    Service.WEBHOOK: {("WebhookChannel", "url")},
}
"""What a service is sent, and can repeat in an answer. PagerDuty's keys are in the body, the others in address and
headers; the state directory keeps PagerDuty's keys for incidents that outlive a rule."""

LOGGED = [f"Lg{number}SecretOfTheLog{number}" for number in range(8)]
"""Secrets in log text."""
ACCOUNT = "ACC-9988776655"
HOSTILE = (
    "<script>alert(1)</script> @everyone <!channel> [x](javascript:alert(1)) \x1b[31mred\x1b[0m "
    '\n{"message":"forged","severity":"error"}\nforged plain\r \u202eoverride \0 <img src=x onerror=alert(1)>'
)


def test_every_secret_field_has_a_canary() -> None:
    """If this fails: plant one in `settings` below, and note it in `PLANTED`."""
    assert secret_fields() - PLANTED.keys() == set()


def test_secrets_are_told_from_what_is_none() -> None:
    assert {("Admin", "token"), ("HttpInput", "tokens"), ("Rule", "pager_duty_key")} <= secret_fields()
    assert not {field for field in secret_fields() if field[1] in ("listen", "region", "api_url", "rule_name")}


class Planting:
    """A configuration with a canary in every secret."""

    def __init__(self, world: World, *, as_files: bool) -> None:
        self._world = world
        self._as_files = as_files
        self._place = world.directory / "secrets"
        self._place.mkdir(mode=0o700)

    def secret(self, section: str, field: str, form: str = "{}", *, key: str = "") -> dict[str, Any]:
        """Return a key with a secret made of the field's canary, or with the file that holds it."""
        value, key = form.replace("{}", PLANTED[section, field]), key or field
        if self._as_files:
            path = self._place / f"{section}.{field}"
            path.write_text(value + "\n")
            path.chmod(0o600)
            return {f"{key}_file": str(path)}
        return {key: [value] if field in ("tokens", "pagerduty_secrets") else value}

    def certificate(self) -> dict[str, Any]:
        """Return a listener's certificate and its key, which has the canary in front of it."""
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed, which makes the certificate")
        key, certificate = self._place / "key.pem", self._place / "certificate.pem"
        new = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
        ]
        made = [openssl, "req", "-x509", *new, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(made, check=True, capture_output=True)
        key.write_text(f"# {PLANTED['HttpInput', 'tls_key']}\n{key.read_text()}")
        return {"tls_cert": str(certificate), "tls_key": str(key)}

    def settings(self) -> dict[str, Any]:
        """Return all sections."""
        world, secret = self._world, self.secret
        base, host = world.stand_in.url, world.stand_in.url.removeprefix("http://")
        channels = {
            "pagerduty": {"type": "pagerduty", "url": base, **secret("PagerDutyChannel", "routing_key")},
            "slack": {"type": "slack", **secret("SlackChannel", "webhook_url", f"{base}/services/T0AB/B0CD/{{}}")},
            "bot": {
                "type": "slack", "channel": CHANNEL, "api_url": f"{base}/api",
                **secret("SlackChannel", "bot_token", "xoxb-{}"),
            },
            "discord": {
                "type": "discord", **secret("DiscordChannel", "webhook_url", f"{base}/api/webhooks/4242424242/{{}}"),
            },
            "webhook": {
                "type": "webhook", **secret("WebhookChannel", "url", f"http://user:{{}}@{host}/in/{{}}?key={{}}"),
                **secret("WebhookChannel", "secret"),
            },
            "down": {"type": "webhook", "url": f"http://127.0.0.1:9/{PLANTED['WebhookChannel', 'url']}"},
        }  # fmt: skip
        rule = {
            **DATABASE,
            "errorType": "*",
            "channels": list(channels),
            "runbook_url": "https://wiki.example/{service}",
        }
        key = {
            f"pagerDutyKey{form.removeprefix('key')}": v
            for form, v in secret("Rule", "pager_duty_key", key="key").items()
        }
        tokens = secret("HttpInput", "tokens")
        found = {
            "inputs": [
                *world.settings["inputs"],
                {"type": "http", "listen": "127.0.0.1:0", **tokens},
                {"type": "http", "listen": "127.0.0.1:0", **tokens, **self.certificate()},
            ],
            "channels": channels,
            "rules": [rule, {**rule, "ruleName": "With a key of its own", **key, "channels": ["pagerduty"]}],
            "admin": {"listen": "127.0.0.1:0", **secret("Admin", "token")},
            "webhooks": {
                "listen": "127.0.0.1:0", "pagerduty_api_url": base,
                **secret("Webhooks", "pagerduty_secrets"), **secret("Webhooks", "pagerduty_token"),
            },
            "drain_seconds": 0,  # what is down will not be told
            "external_url": "https://alerts.example.com/x/",
            "redact": {"patterns": ["ACC-[0-9]+"]},
        }  # fmt: skip
        if ("Heartbeat", "url") in secret_fields():
            found["heartbeat"] = secret("Heartbeat", "url", "http://127.0.0.1:9/ping/{}")
        return found


class Outputs:
    """All that came out, by where it did."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def add(self, place: str, text: str | bytes) -> None:
        self.texts[place] = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")

    def shown(self, secret: str, *but: str) -> list[str]:
        """Return where a text was seen, in any writing that a reader sees through."""
        forms = (secret, secret.encode().hex())
        return [place for place, text in self.texts.items() if place not in but and any(form in text for form in forms)]


def records(world: World) -> Iterator[str]:
    """Yield log lines: hostile text in every field, and secrets in all sorts of places."""
    names = ("service", "host", "environment", "trace_id", "user", "namespace", "tag")
    fields = {name: f"{name} {HOSTILE}" for name in names}
    stack = f"Traceback:\n  password={LOGGED[0]}\n{HOSTILE}"
    yield world.record(0, "fatal", f"broke {HOSTILE}", error={"type": f"E {HOSTILE}", "stack": stack}, **fields)
    yield world.record(1, "fatal", f"half \ud800 pair, token={LOGGED[1]}", service="half")
    yield world.record(
        2, "fatal", f"Authorization: Bearer {LOGGED[2]}\nCookie: a={LOGGED[3]}", service="headers",
        api_key=LOGGED[4], nested=json.dumps({"db": f"postgres://bob:{LOGGED[5]}@db/x", "account": ACCOUNT}),
    )  # fmt: skip
    yield f'{{"level":"fatal","password":"{LOGGED[6]}","message":"torn {HOSTILE.splitlines()[0]}'
    yield f"{world.time(3)} FATAL plain text secret={LOGGED[7]} {HOSTILE.splitlines()[0]} of {ACCOUNT}"


async def ingested(world: World, address: str, token: str) -> str:
    """Send a broken record with a secret to a listener, with TLS where it speaks that; return its answer."""
    trusting = ssl.create_default_context(cafile=str(world.directory / "secrets" / "certificate.pem"))
    body, headers = f'{{"password":"{LOGGED[6]}", torn', {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session:
        for scheme in ("https", "http"):
            try:
                asking = session.post(f"{scheme}://{address}/ingest/app", data=body, headers=headers, ssl=trusting)
                async with asking as response:
                    return f"{response.headers} {await response.text()}"
            except aiohttp.ClientConnectorError:
                continue
    raise AssertionError(address)


async def asked(url: str, paths: list[str], token: str, outputs: Outputs, name: str) -> dict[str, Any]:
    """Ask for paths with the token, and without or with a wrong one; return what was answered with it, decoded."""
    found: dict[str, Any] = {}
    async with aiohttp.ClientSession(url) as session:
        for path in paths:
            for who, headers in (
                ("let in", {"Authorization": f"Bearer {token}"}),
                ("wrong", {"Authorization": f"Bearer {token}x"}),
                ("nobody", {}),
            ):
                async with session.get(path, headers=headers) as response:
                    text = await response.text()
                    outputs.add(f"{name} {path} {who}", f"{response.headers} {text}")
                    if who == "let in" and response.content_type == "application/json":
                        found[path] = json.loads(text)
    return found


def body_without(received: Received) -> str:
    """Return a message as its service got it, without the canaries that it needs."""
    text = f"{received.call.body.decode()} {json.dumps(received.document)}"
    for field in KNOWN[Service.PAGERDUTY] if received.service is Service.PAGERDUTY else ():
        text = text.replace(PLANTED[field], "")
    return text


@pytest.mark.parametrize("as_files", [False, True], ids=["in the file", "in files of their own"])
async def test_no_canary_and_no_hostile_text_gets_out(world: World, as_files: bool) -> None:
    outputs, stand_in = Outputs(), world.stand_in
    token, ingest = PLANTED["Admin", "token"], PLANTED["HttpInput", "tokens"]
    stand_in.slack_api.tokens.add(f"xoxb-{PLANTED['SlackChannel', 'bot_token']}")
    for service, fields in KNOWN.items():
        repeated = " ".join(f"{name}: {PLANTED[field]} /{PLANTED[field]}?" for name, field in enumerate(fields))
        slow_down = Answer(status=429, body=repeated, headers={"Retry-After": "0"})
        invalid = json.dumps({"status": "invalid event", "message": repeated, "errors": [repeated]})
        stand_in.script(
            service, slow_down, Answer(status=503, body=repeated), Reset(), Answer(status=400, body=invalid)
        )

    daemon = await world.start(**Planting(world, as_files=as_files).settings())
    world.write(*records(world))
    for line in daemon.said("listening for logs"):
        for given in (ingest, f"{ingest}x"):
            outputs.add(f"{line['input']} {given[-1]}", await ingested(world, line["address"], given))
    await daemon.metric_is(4, "incidents_opened_total", DATABASE["ruleName"], "fatal", "critical")
    await world.received(2 * 4, "trigger")

    webhooks = f"http://{(await daemon.says('webhooks are taken'))['address']}/webhooks/pagerduty"
    for secret, status in ((PLANTED["Webhooks", "pagerduty_secrets"], 202), (OTHER_SUBSCRIPTION, 401)):
        ann = Person(stand_in.pagerduty, webhooks, secrets=[secret], name=f"Ann {HOSTILE}")
        for alert in stand_in.pagerduty.alerts[:2]:
            assert await ann.triggered(alert, client=False) == status
            await ann.notes(alert, f"note password={LOGGED[0]} {ACCOUNT} {HOSTILE}")
            await ann.does("acknowledged", alert)

    world.configure(admin={"token": [token]}, rules=[{**DATABASE, "pagerDutyKey": token + "x"}])
    await daemon.says("configuration NOT reloaded")
    planted = Planting.settings.__get__(_again(world, as_files))()
    world.configure(**planted)
    await daemon.says("configuration reloaded")

    at = ["--url", daemon.url, "--token", token]
    listed = await asked(daemon.url, ["/api/v1/incidents?state=all"], token, outputs, "api")
    ids = [one["id"] for one in listed["/api/v1/incidents?state=all"]["incidents"]]
    paths = [f"/api/v1/{name}" for name in ("status", "rules", "silences", "rejected", "report", "none")]
    paths += [f"/api/v1/incidents/{one}" for one in ids] + ["/metrics", "/healthz", "/readyz"]
    await asked(daemon.url, paths, token, outputs, "api")
    await asked(daemon.url, [f"/incidents/{one}" for one in ids], token, outputs, "page")
    config = ["--config", str(world.config)]
    commands = [["check", "--json", *config], ["send-test", *config]] if as_files else [
        ["check", *config], ["send-test", "--json", *config],
        ["rejected", *at], ["rejected", "--url", daemon.url, "--token", f"{token}x"],
        ["incidents", "list", *at], ["incidents", "show", ids[0], *at], ["incidents", "export", ids[0], *at],
        ["incidents", "ack", ids[0], "--by", f"Bob {HOSTILE}".replace("\0", ""), "--note", f"token={LOGGED[1]}", *at],
    ]  # fmt: skip
    for command in commands:
        done = await world.run(*command)
        outputs.add(f"{' '.join(command[:3])} stdout", done.out)
        outputs.add(f"{' '.join(command[:3])} stderr", done.err)
    assert await daemon.stop() == 0
    outputs.add("stderr", daemon.stderr)
    for number, received in enumerate(stand_in.received):
        outputs.add(f"{received.service} {number}", body_without(received))
    for path in world.state.iterdir():
        outputs.add(f"state/{path.name}", path.read_bytes())
    outputs.add("repr", repr(load(world.config, {})))

    used = [repr(received.call) for received in stand_in.received]
    for field in PLANTED:
        if field[0].endswith("Channel") and field != ("WebhookChannel", "secret"):  # that one signs
            assert any(PLANTED[field] in call for call in used), f"{field} was not used: nothing was tried"
    assert "&lt;script&gt;" in "".join(outputs.texts[f"page /incidents/{one} let in"] for one in ids)
    kept = [place for place in outputs.texts if place.startswith("state/")]
    for field, secret in PLANTED.items():
        assert outputs.shown(secret, *(kept if field in KNOWN[Service.PAGERDUTY] else ())) == [], field
    for secret in (*LOGGED, ACCOUNT):
        assert outputs.shown(secret) == [], secret
    assert_harmless(outputs)


def _again(world: World, as_files: bool) -> Planting:
    """Plant the same secrets anew."""
    shutil.rmtree(world.directory / "secrets")
    return Planting(world, as_files=as_files)


def assert_harmless(outputs: Outputs) -> None:
    """Whatever can be seen on a terminal, in a browser or in the log is what it says it is."""
    for place, text in outputs.texts.items():
        if place.startswith("state/"):
            continue
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text), place
        if not place.startswith("api "):  # JSON for programs, which shows nothing
            assert not re.search("[\u202a-\u202e\u2066-\u2069]", text), place
        if place == "stderr" or place.startswith(("incidents list", "rejected", "check")):
            assert not re.search(r"^(\{\"message\":\"forged|forged plain)", text, re.MULTILINE), place
        if place.startswith("page "):
            assert "<script" not in text, place
            assert "<img" not in text, place
            assert not re.search(r"href=['\"]?\s*javascript", text), place
    assert all(json.loads(line)["message"] for line in outputs.texts["stderr"].splitlines())


IN_A_CHANNEL = """
    from sidecar.channels.slack import Slack

    def requests(self, body, **_):
        request = Slack._requests(self, body, **_)[0]
        raise ValueError(f"{request} {request.url} {body} {self._url.reveal()}")

    Slack._requests, Slack.requests = Slack.requests, requests
"""


IN_THE_ENGINE = """
    from sidecar.core.advance import Engine

    def take_in_slowly(self, step):
        for match in step.matches:
            raise ValueError(match.sample.stack or match.sample.line)
        return Engine._take_in_slowly(self, step)

    Engine._take_in_slowly, Engine.take_in_slowly = Engine.take_in_slowly, take_in_slowly
"""


@pytest.mark.parametrize("defect", [IN_A_CHANNEL, IN_THE_ENGINE], ids=["in a channel", "in the engine"])
async def test_a_defect_is_told_without_the_words_of_its_exception(world: World, defect: str) -> None:
    """An exception whose words hold an address and a message: what is said of it is where it came from."""
    planted = Planting(world, as_files=False).settings()
    daemon = await world.start(program=patched(defect), **planted)
    world.write(*records(world))
    await daemon.until(lambda: "ValueError" in daemon.stderr)
    if defect is IN_A_CHANNEL:
        await daemon.stop()
    else:
        assert await daemon.exit() == 1
    outputs = Outputs()
    outputs.add("stderr", daemon.stderr)
    for secret in (*PLANTED.values(), *LOGGED, ACCOUNT):
        assert outputs.shown(secret) == []
    assert_harmless(outputs)
