"""The section `heartbeat`: what it takes, and what is wrong with it in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_texts import LoadText, errors

from sidecar.config.model import Heartbeat
from sidecar.config.secrets import Secret
from sidecar.core.times import MINUTE, SECOND

URL = "https://hc-ping.example/0f8c5f3e-not-to-be-shown"


def loaded(load_text: LoadText, heartbeat: Any, **files: str) -> Any:
    return load_text(json.dumps({"heartbeat": heartbeat}), files=files)


def test_no_sign_of_life_is_given_unless_it_is_asked_for(load_text: LoadText) -> None:
    config = load_text("inputs: []").config
    assert config is not None
    assert config.heartbeat is None


def test_an_address_is_all_that_it_needs(load_text: LoadText) -> None:
    found = loaded(load_text, {"url": URL})
    assert found.config.heartbeat == Heartbeat(url=Secret(URL), every=MINUTE, method="GET")
    assert "not-to-be-shown" not in repr(found)


def test_the_address_may_stand_in_a_file_of_its_own(load_text: LoadText) -> None:
    found = loaded(load_text, {"url_file": "url", "every": "30s", "method": "POST"}, url=URL + "\n")
    assert found.config.heartbeat == Heartbeat(url=Secret(URL), every=30 * SECOND, method="POST")


@pytest.mark.parametrize(
    ("heartbeat", "path", "words"),
    [
        ({}, "heartbeat", "`url` is missing: expected it, or `url_file`"),
        ({"url": URL, "url_file": "url"}, "heartbeat.url_file", "expected one of `url` and this, found both"),
        ({"url": "http://hc-ping.example/not-to-be-shown"}, "heartbeat.url", "expected an `https://` address"),
        ({"url": "not-to-be-shown"}, "heartbeat.url", "expected an address such as"),
        ({"url": URL, "every": "9s"}, "heartbeat.every", 'expected a duration of at least `10s`, found "9s"'),
        ({"url": URL, "every": "0s"}, "heartbeat.every", "expected a duration above zero"),
        ({"url": URL, "method": "PUT"}, "heartbeat.method", "GET"),
        ({"url": URL, "evry": "1m"}, "heartbeat.evry", "`every`"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_without_the_address(
    heartbeat: Any, path: str, words: str, load_text: LoadText
) -> None:
    found = loaded(load_text, heartbeat, url=URL)
    (problem,) = errors(found)
    assert problem.path == path
    assert words in problem.message
    assert "not-to-be-shown" not in str(problem)


def test_plain_http_is_good_enough_on_loopback(load_text: LoadText) -> None:
    assert loaded(load_text, {"url": "http://127.0.0.1:8000/ping/x"}).config.heartbeat is not None
