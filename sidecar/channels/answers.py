"""What HTTP answers mean to a notification, as far as services agree.

2xx is acceptance, 429 and 5xx ask for another try, and so does 408. Any other answer is a refusal; which refusals no
retry can mend, the channel says. Redirects are not followed and count as refusals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from sidecar.channels.base import Response
from sidecar.channels.text import clean_line, fit
from sidecar.config.secrets import Secret
from sidecar.core.outcome import Outcome, Result
from sidecar.core.redact import redact

CHAT_PERMANENT = frozenset({400, 401, 403, 404, 410})
"""Malformed, unauthorised or gone: services punish clients that go on, and nobody is paged by a chat."""

MAX_DETAIL = 500
"""UTF-16 units of a service's own words kept for the log: its sentences are shorter, a proxy's page is not."""

MAX_WORDS_READ = 8192
"""Bytes of a body that are looked at for those words."""

MIN_SECRET_PART = 6
"""Characters from which on a part of a secret address is hidden by itself: shorter ones are words such as `api`."""


def outcome(
    response: Response,
    detail: str,
    *,
    permanent: bool,
    retry_after: float | None = None,
    result: Result | None = None,
) -> Outcome:
    """Classify an answer.

    `permanent` says whether a refusal is final; `retry_after` is a wait named in the body; `result` stands in for the
    status, of a service that answers 200 to what it refuses.
    """
    status = response.status
    result = result or _result(status)
    refused = result is Result.REJECTED
    waits = [wait for wait in (_header_seconds(response), retry_after) if wait is not None]
    return Outcome(
        result=result,
        permanent=refused and permanent,
        retry_after=None if refused or result is Result.ACCEPTED else max(waits, default=None),
        status=status,
        detail=detail or ("" if result is Result.ACCEPTED else f"answered {status} without a word"),
    )


def _result(status: int) -> Result:
    if 200 <= status < 300:
        return Result.ACCEPTED
    if status == 408:
        return Result.TIMEOUT
    if status == 429:
        return Result.RATE_LIMITED
    return Result.SERVER_ERROR if status >= 500 else Result.REJECTED


def seconds(value: object) -> float | None:
    """Return a wait in seconds that a service named, or None if it is no usable number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def words(text: str | bytes, secrets: Iterable[Secret | None]) -> str:
    """Return a service's words for the log: one bounded line, without the given secrets or parts of addresses in them.

    Services and the proxies before them like to repeat the address that they were asked for.
    """
    if isinstance(text, bytes):
        text = text[:MAX_WORDS_READ].decode("utf-8", "replace")
    line = clean_line(text, MAX_WORDS_READ)
    hidden = {part for secret in secrets if secret is not None for part in _parts(secret.reveal()) if part}
    for part in sorted(hidden, key=len, reverse=True):
        line = line.replace(part, "[redacted]")
    return fit(redact(line), MAX_DETAIL)


def _parts(secret: str) -> Iterable[str]:
    """Return a secret as it may be repeated: whole, decoded, and as the parts of an address."""
    yield from (secret, unquote(secret))
    if "://" in secret:
        address = urlsplit(secret)
        inside = re.split(r"[/?&=:@]", f"{address.netloc.rpartition('@')[0]}/{address.path}?{address.query}")
        for part in (f"{address.path}?{address.query}", address.path, *inside):
            if len(part) >= MIN_SECRET_PART:
                yield from (part, unquote(part))


def _header_seconds(response: Response) -> float | None:
    """Return `Retry-After` in seconds; a date (RFC 9110, 10.2.3) is measured by the service's own clock, its `Date`."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return seconds(float(value))
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError):  # one of them is no date, or only one of them has a zone
        return None
    return max(0.0, wait.total_seconds())
