"""What the pages in docs/ say can be followed: their configurations load, their links and metrics are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml
from config_texts import KEY, LoadText

from sidecar.config import document

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BESIDE = {"tls/server.crt": "", "tls/server.key": "", "tls/senders.crt": "", "tls/tokens": "token\n"}
BESIDE |= {
    "secrets/heartbeat": "https://hc-ping.com/0f8c5f3e",
    "secrets/slack": "https://hooks.slack.com/services/T/B/x",
    "secrets/slack-bot": "xoxb-not-a-real-token",
    "secrets/discord": "https://discord.com/api/webhooks/1/x",
}
"""Files that the pages' configurations name."""


CHANNELS = {
    "slack": {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T/B/x"},
    "discord": {"type": "discord", "webhook_url": "https://discord.com/api/webhooks/1/x"},
    "pagerduty": {"type": "pagerduty", "routing_key": KEY},
    "webhook": {"type": "webhook", "url": "https://hooks.example.net/x"},
}
"""What stands behind a channel whose name begins so, where a page leaves channels out."""


def configurations() -> list[tuple[str, str]]:
    """Return the configurations, or parts of them, that pages show, each with its page."""
    known = {field.name for field in msgspec.structs.fields(document.Root)}
    blocks = [
        (page.name, block) for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
    ]
    keys = [set(re.findall(r"^(\w+):", block, re.M)) for _, block in blocks]
    return [found for found, own in zip(blocks, keys, strict=True) if own and own <= known]


def test_there_are_configurations_to_check() -> None:
    pages = {name for name, _ in configurations()}
    assert {"containers.md", "http.md", "journal.md", "tailing.md", "silences.md", "escalation.md"} <= pages


@pytest.mark.parametrize(("page", "block"), configurations())
def test_a_pages_configuration_loads(page: str, block: str, load_text: LoadText) -> None:
    shown = yaml.safe_load(block.replace("/run/secrets/", "secrets/"))
    names = {"slack", *re.findall(r"\b(?:slack|discord|pagerduty|webhook)(?:-\w+)?\b", block)}
    channels = {name: CHANNELS[name.partition("-")[0]] for name in sorted(names)}
    rest = {"channels": channels, "rules": [{"ruleName": "A", "severity": "fatal", "channels": ["slack"]}]}
    text = json.dumps({**rest, **shown, "channels": {**channels, **shown.get("channels", {})}}, default=str)
    env = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), KEY)  # long enough for any secret
    loaded = load_text(text, env=env, files=BESIDE)
    assert loaded.config is not None, (page, [str(problem) for problem in loaded.problems])


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_pages_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_metric_that_a_page_names_is_in_the_list_of_all() -> None:
    known = set(re.findall(r"luminalog_\w+", (ROOT / "docs" / "metrics.md").read_text()))
    known |= {f"{name}{part}" for name in known for part in ("_bucket", "_sum", "_count")}
    for page in PAGES:
        assert set(re.findall(r"luminalog_\w+", page.read_text())) <= known, page.name
