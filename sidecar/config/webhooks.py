"""From the listener for webhooks as written to the one that the daemon runs."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from sidecar.config import document
from sidecar.config.addresses import AddressError, check_base_url, parse_listen
from sidecar.config.channels import PAGERDUTY_HOSTS
from sidecar.config.credentials import Credentials
from sidecar.config.model import ChannelConfig, PagerDutyChannel, Webhooks
from sidecar.config.problems import Place, Source
from sidecar.config.secrets import Secret

API_HOSTS = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}
"""Base addresses of PagerDuty's REST API by service region."""

_PLACE: Place = ("webhooks",)


def build_webhooks(
    source: Source, root: document.Root, channels: Mapping[str, ChannelConfig], credentials: Credentials
) -> Webhooks | None:
    """Return the listener; None: there is none."""
    if root.webhooks is UNSET:
        return None
    doc = root.webhooks
    host, port = "", 0
    if doc.listen and not source.failed((*_PLACE, "listen")):
        try:
            host, port = parse_listen(doc.listen)
        except AddressError as error:
            source.error((*_PLACE, "listen"), str(error))
    secrets = [Secret(secret.strip()) for secret in doc.pagerduty_secrets if secret.strip()]
    for i, secret in enumerate(doc.pagerduty_secrets):
        if not secret.strip() and not source.failed((*_PLACE, "pagerduty_secrets", i)):
            source.error((*_PLACE, "pagerduty_secrets", i), "expected a secret, found white space only")
    listed = credentials.take(source, _PLACE, "pagerduty_secrets", UNSET, doc.pagerduty_secrets_file)
    if listed is not None:
        secrets += [Secret(line.strip()) for line in listed.reveal().splitlines() if line.strip()]
    given = [(*_PLACE, key) for key in ("pagerduty_secrets", "pagerduty_secrets_file") if source.has((*_PLACE, key))]
    if not secrets and not any(source.failed(place) for place in given):
        message = "expected at least one secret of a webhook subscription"
        source.error(
            given[0] if given else _PLACE,
            message if given else f"`pagerduty_secrets` is missing: {message}, or `pagerduty_secrets_file`",
        )
    token = credentials.take(source, _PLACE, "pagerduty_token", doc.pagerduty_token, doc.pagerduty_token_file)
    if token is None and root.external_url is UNSET and not source.has((*_PLACE, "pagerduty_token_file")):
        source.warning(
            _PLACE, "without `external_url` and `pagerduty_token` PagerDuty's incidents are recognised by title only"
        )
    return Webhooks(
        host=host,
        port=port,
        pagerduty_secrets=tuple(secrets),
        pagerduty_token=token,
        pagerduty_api_url=_api_url(source, doc, channels),
    )


def _api_url(source: Source, doc: document.Webhooks, channels: Mapping[str, ChannelConfig]) -> str:
    if doc.pagerduty_api_url is UNSET:
        urls = {channel.url for channel in channels.values() if isinstance(channel, PagerDutyChannel)}
        return API_HOSTS["eu" if urls == {PAGERDUTY_HOSTS["eu"]} else "us"]
    try:
        return check_base_url(doc.pagerduty_api_url)
    except AddressError as error:
        source.error((*_PLACE, "pagerduty_api_url"), str(error))
        return ""
