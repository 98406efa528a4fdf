"""Look-ups: whole lists, a few attempts, no empty key, and the stand-in's word that PagerDuty would take them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from sidecar.channels.base import Failure, Request, Response
from sidecar.channels.transport import Transport
from sidecar.config.secrets import Secret
from sidecar.core.outcome import Result
from sidecar.standin.pagerduty import Alert
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Answer, Service
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry
from sidecar.webhooks.rest import LONGEST_WAIT_SECONDS, TRIES, Rest

UNREACHABLE = Failure(result=Result.CONNECTION_ERROR, never_sent=True, detail="could not connect")


def answer(status: int = 200, document: object = None, **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=names, body=json.dumps(document).encode())


class Sender:
    """Gives the answers it was given, the last for ever."""

    def __init__(self, *answers: Response | Failure) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.waits: list[float] = []

    async def send(self, request: Request, *, max_body: int) -> Response | Failure:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def rest(sender: Any, log: io.StringIO | None = None, url: str = "https://api.example.com") -> Rest:
    telemetry = Telemetry(Log(stream=log or io.StringIO(), clock=lambda: 0.0))
    return Rest(sender, url=url, token=Secret("tok"), telemetry=telemetry, sleep=getattr(sender, "sleep", None))  # type: ignore[arg-type]


ALERTS = {"alerts": [{"alert_key": "k", "more": 1}, {"alert_key": None}, {}], "more": False}


@pytest.mark.parametrize(
    ("first", "waits"),
    [
        ([], []),
        ([UNREACHABLE], [1]),
        ([answer(500), answer(503)], [1, 2]),
        ([answer(429)], [1]),
        ([answer(429, retry_after="5")], [5]),
        ([answer(429, ratelimit_reset="20")], [20]),
        ([answer(429, retry_after="4000")], [LONGEST_WAIT_SECONDS]),
        ([answer(429, retry_after="soon")], [1]),
        ([answer(200, [])], [1]),
    ],
)
async def test_what_may_pass_is_asked_again(first: list[Response], waits: list[float]) -> None:
    sender = Sender(*first, answer(200, ALERTS))
    assert await rest(sender).keys_of("Q1") == ["k"]
    assert sender.waits == waits


@pytest.mark.parametrize("last", [UNREACHABLE, answer(500), answer(429), answer(200, "[" * 10)])
async def test_at_some_time_nothing_is_asked_any_more(last: Response | Failure) -> None:
    sender, log = Sender(last), io.StringIO()
    assert await rest(sender, log).keys_of("Q1") == []
    assert len(sender.asked) == TRIES
    assert "look-up" in log.getvalue()
    assert await rest(Sender(last)).keys_of("Q1", tries=1) == []


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403])
async def test_what_does_not_pass_is_not_asked_again(status: int) -> None:
    sender, log = Sender(answer(status, {"error": {"message": "tok"}})), io.StringIO()
    assert await rest(sender, log).keys_of("Q1") == []
    assert len(sender.asked) == 1
    assert f"status {status}" in log.getvalue()
    assert "tok" not in log.getvalue().replace("status", "")


async def test_an_empty_key_is_never_asked_for() -> None:
    sender = Sender(answer(200, {"incidents": [{"id": "Q1"}]}))
    assert not await rest(sender).holds("Q1", "")
    assert sender.asked == []


async def test_the_stand_in_takes_look_ups_as_pagerduty_would() -> None:
    async with StandIn() as stand_in, Transport() as transport:
        stand_in.pagerduty.alerts += [Alert("r", f"k{n}&", "s" * 1_000, "error", incident="Q1") for n in range(60)]
        stand_in.pagerduty.alerts.append(Alert("r", "other", "s", "error", incident="Q2"))
        asking = rest(transport, url=stand_in.url)
        asking._token = Secret(stand_in.rest_token)
        assert await asking.keys_of("Q1") == [f"k{n}&" for n in range(60)]
        assert await asking.keys_of("Q3") == []
        assert [await asking.holds("Q1", key) for key in ("k7&", "k7", "other")] == [True, False, False]
        asking._token = Secret("wrong")
        assert await asking.keys_of("Q1") == []
        stand_in.script(Service.PAGERDUTY_REST, Answer(status=200, body="{", cut_short=True))
        assert await asking.keys_of("Q1", tries=1) == []
        assert stand_in.violations == []
