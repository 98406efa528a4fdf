"""Makes one attempt: the requests of a notification, one after the other.

Invariants
- A request is sent once that before it was accepted; what the first one comes to that is not, the attempt comes to.
- An attempt was never sent only if nothing of any of its requests was.
- What the service names first is what the notification made; a reply to that is named after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from sidecar.channels.base import Failure, Request, Response
from sidecar.core.outcome import Outcome, Result


async def exchange(
    send: Callable[[Request], Awaitable[Response | Failure]],
    classify: Callable[[Response], Outcome],
    requests: Sequence[Request],
) -> Outcome:
    """Send requests in order and return what came of them. `requests` is not empty."""
    first, *others = requests
    outcome = await _one(send, classify, first)
    ref = outcome.ref
    for request in others:
        if outcome.result is not Result.ACCEPTED:
            break
        outcome = msgspec.structs.replace(await _one(send, classify, request), never_sent=False)
        ref = ref or outcome.ref
    return msgspec.structs.replace(outcome, ref=ref)


async def _one(
    send: Callable[[Request], Awaitable[Response | Failure]],
    classify: Callable[[Response], Outcome],
    request: Request,
) -> Outcome:
    answer = await send(request)
    return answer.outcome() if isinstance(answer, Failure) else classify(answer)
