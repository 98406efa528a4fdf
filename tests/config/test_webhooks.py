"""The section `webhooks`: what it takes, and what is wrong with it in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_texts import KEY, LoadText

from sidecar.config.model import Webhooks
from sidecar.config.problems import Severity
from sidecar.config.secrets import Secret

GOOD = {"listen": "127.0.0.1:9882", "pagerduty_secrets": ["one"]}


def loaded(load_text: LoadText, webhooks: Any, files: dict[str, str] | None = None, **more: Any) -> Any:
    text = json.dumps({"external_url": "https://a.example", **more, "webhooks": webhooks})
    return load_text(text, files=files or {})


def test_there_is_no_listener_unless_it_is_asked_for(load_text: LoadText) -> None:
    config = load_text("inputs: []").config
    assert config is not None
    assert config.webhooks is None


def test_secrets_come_from_files_of_their_own_several_a_line_each(load_text: LoadText) -> None:
    section = {"listen": GOOD["listen"], "pagerduty_secrets_file": "secrets", "pagerduty_token_file": "token"}
    found = loaded(load_text, section, {"secrets": "one\r\n\n  two \n", "token": "t\n"})
    assert found.config.webhooks == Webhooks(
        host="127.0.0.1",
        port=9882,
        pagerduty_secrets=(Secret("one"), Secret("two")),
        pagerduty_token=Secret("t"),
    )
    assert [name.rpartition("/")[2] for name in found.config.files][1:] == ["secrets", "token"]
    assert "two" not in repr(found)


@pytest.mark.parametrize(
    ("regions", "url"),
    [
        ([], "https://api.pagerduty.com"),
        (["us"], "https://api.pagerduty.com"),
        (["eu"], "https://api.eu.pagerduty.com"),
        (["eu", "eu"], "https://api.eu.pagerduty.com"),
        (["eu", "us"], "https://api.pagerduty.com"),
    ],
)
def test_the_api_is_that_of_the_channels_region(load_text: LoadText, regions: list[str], url: str) -> None:
    channels = {f"p{n}": {"type": "pagerduty", "routing_key": KEY, "region": one} for n, one in enumerate(regions)}
    assert loaded(load_text, GOOD, channels=channels).config.webhooks.pagerduty_api_url == url
    own = loaded(load_text, {**GOOD, "pagerduty_api_url": "http://127.0.0.1:80/pd/"}, channels=channels)
    assert own.config.webhooks.pagerduty_api_url == "http://127.0.0.1:80/pd"


@pytest.mark.parametrize(
    ("webhooks", "path", "words"),
    [
        ({"pagerduty_secrets": ["x"]}, "webhooks", "`listen` is missing"),
        ({**GOOD, "listen": "9882"}, "webhooks.listen", "expected `host:port`"),
        ({**GOOD, "listen": "127.0.0.1:9881"}, "webhooks.listen", "the admin listener has this address"),
        ({**GOOD, "listen": "0.0.0.0:9880"}, "webhooks.listen", 'input "http" has this address'),
        ({"listen": "127.0.0.1:1"}, "webhooks", "`pagerduty_secrets` is missing"),
        ({**GOOD, "pagerduty_secrets": []}, "webhooks.pagerduty_secrets", "at least one secret"),
        ({"listen": "127.0.0.1:1", "pagerduty_secrets_file": "blank"}, "webhooks.pagerduty_secrets_file", "at least"),
        ({"listen": "127.0.0.1:1", "pagerduty_secrets_file": "no"}, "webhooks.pagerduty_secrets_file", "no such file"),
        ({**GOOD, "pagerduty_secrets": [""]}, "webhooks.pagerduty_secrets[0]", "expected"),
        ({**GOOD, "pagerduty_secrets": [" \n"]}, "webhooks.pagerduty_secrets[0]", "white space"),
        ({**GOOD, "pagerduty_token": "x", "pagerduty_token_file": "y"}, "webhooks.pagerduty_token_file", "found both"),
        ({**GOOD, "pagerduty_api_url": "http://pd.example"}, "webhooks.pagerduty_api_url", "https://"),
        ({**GOOD, "pagerduty_secret": "x"}, "webhooks.pagerduty_secret", "did you mean `pagerduty_secrets`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_once_where_it_is(load_text: LoadText, webhooks: Any, path: str, words: str) -> None:
    found = loaded(load_text, webhooks, {"blank": " \n"}, inputs=[{"type": "http"}])
    problems = [one for one in found.problems if one.severity is Severity.ERROR]
    assert [problem.path for problem in problems] == [path]
    assert words in problems[0].message


def test_incidents_that_are_recognised_by_title_only_are_worth_a_warning(load_text: LoadText) -> None:
    for external_url, token, warned in ((None, None, True), ("https://a.example", None, False), (None, "t", False)):
        text = {"webhooks": {**GOOD, **({"pagerduty_token": token} if token else {})}}
        problems = load_text(json.dumps(text | ({"external_url": external_url} if external_url else {}))).problems
        assert any("by title only" in problem.message for problem in problems) is warned


def test_white_space_around_a_secret_is_none_of_it(load_text: LoadText) -> None:
    """As behind the value of an environment variable that came from a file."""
    webhooks = loaded(load_text, {**GOOD, "pagerduty_secrets": [" abc\n"]}).config.webhooks
    assert [secret.reveal() for secret in webhooks.pagerduty_secrets] == ["abc"]
