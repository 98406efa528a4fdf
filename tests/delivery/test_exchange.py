"""A notification of several requests comes to what the first that was not accepted came to."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sidecar.channels.base import Failure, Request, Response
from sidecar.core.outcome import Outcome, Result
from sidecar.delivery.exchange import exchange

REFS = ("first", "second", None)
ACCEPTED = [Outcome(result=Result.ACCEPTED, ref=ref) for ref in REFS]
REFUSED = [Outcome(result=Result.REJECTED, permanent=True), Outcome(result=Result.RATE_LIMITED, retry_after=3.0)]
FAILURES = [Failure(result=Result.CONNECTION_ERROR, never_sent=sent, detail="x") for sent in (False, True)]


@given(st.lists(st.sampled_from([*ACCEPTED, *REFUSED, *FAILURES]), min_size=1, max_size=4))
def test_requests_go_out_in_order_up_to_the_first_that_is_not_accepted(answers: list[Outcome | Failure]) -> None:
    requests = [Request(method="POST", url=str(number), headers={}, body=b"") for number in range(len(answers))]
    sent: list[Request] = []

    async def send(request: Request) -> Response | Failure:
        sent.append(request)
        answer = answers[int(request.url)]
        return answer if isinstance(answer, Failure) else Response(status=int(request.url), headers={}, body=b"")

    def classify(response: Response) -> Outcome:
        answer = answers[response.status]
        assert isinstance(answer, Outcome)
        return answer

    came_to = asyncio.run(exchange(send, classify, requests))
    good = next((i for i, answer in enumerate(answers) if answer.result is not Result.ACCEPTED), len(answers))
    last = answers[min(good, len(answers) - 1)]
    assert sent == requests[: good + 1]
    assert came_to.result is last.result
    assert came_to.never_sent is (last.never_sent and good == 0)
    named = [answer.ref for answer in answers[:good] if isinstance(answer, Outcome) and answer.ref]
    assert came_to.ref == next(iter(named), None)
    if isinstance(last, Outcome):
        assert (came_to.permanent, came_to.retry_after) == (last.permanent, last.retry_after)
