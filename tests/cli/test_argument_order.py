"""Arguments may stand in any order behind the command: people write options where they think of them."""

from __future__ import annotations

import pytest

from sidecar.__main__ import main
from sidecar.cli import client


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("incidents URL show i1", "incidents/i1"),
        ("incidents show URL i1", "incidents/i1"),
        ("incidents ack --note x URL i1", "incidents/i1/ack"),
        ("silences expire URL s1", "silences/s1/expire"),
        ("silences add --for 2h a=b URL c=d", "silences"),
    ],
)
def test_options_may_stand_between_what_is_asked_for(
    words: str, asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(daemon: client.Daemon, path: str, body: dict[str, object], kind: type) -> None:
        assert body.get("matchers", ["a=b", "c=d"]) == ["a=b", "c=d"]
        raise client.MissingError(path)

    monkeypatch.setattr(client, "get", ask)
    monkeypatch.setattr(client, "post", ask)
    assert main(words.replace("URL", "--url http://127.0.0.1:9").split()) == 1
    assert capsys.readouterr().err == f"{asked}\n"


@pytest.mark.parametrize("words", [[], ["nothing"], ["incidents", "show", "a", "b", "--url", "http://x"]])
def test_what_cannot_be_understood_exits_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
