"""What the chart holds of the rest of the project: written here, so that nothing is said in two places by hand.

- the table in the chart's README, from the comments in its values.yaml;
- in values.schema.json the schema of `config`, from the program's own;
- under files/, the alert rules and dashboards of config/.

`python helm/generate.py` writes all of it; a test says when that is due.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sidecar.config.schema import json_schema

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "luminalog-sidecar"
BEGIN, END = "<!-- values: written by helm/generate.py from values.yaml -->", "<!-- end -->"
CHART_S_OWN = ("admin", "state_dir", "webhooks")
"""Keys of the program's configuration that the chart sets from values of its own: refused in `config`."""


def produced() -> dict[Path, str]:
    """Return every generated file and what it should hold."""
    return {
        CHART / "README.md": readme((CHART / "README.md").read_text(), (CHART / "values.yaml").read_text()),
        CHART / "values.schema.json": schema(json.loads((CHART / "values.schema.json").read_text())),
        **{CHART / "files" / kind / path.name: path.read_text() for kind, path in shipped()},
    }


def shipped() -> list[tuple[str, Path]]:
    """Return the files with rules (not those that test them or configure a scrape) and the dashboards of config/."""
    rules = [
        path
        for path in sorted((ROOT / "config" / "prometheus").glob("*.yaml"))
        if "groups" in (yaml.safe_load(path.read_text()) or {})
    ]
    dashboards = sorted((ROOT / "config" / "grafana").glob("*.json"))
    return [*(("prometheus", path) for path in rules), *(("grafana", path) for path in dashboards)]


def readme(text: str, values: str) -> str:
    """Return the README with the table of values in it."""
    before, _, rest = text.partition(BEGIN)
    rows = [f"| `{key}` | {default} | {comment} |" for key, default, comment in described(values)]
    table = "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def described(values: str) -> list[tuple[str, str, str]]:
    """Return path, default and description of each value, in their order.

    A map in which something has a description is shown value by value, any other as a whole.
    """
    comments: dict[str, str] = {}
    path: list[str] = []
    above: list[str] = []
    for line in values.splitlines():
        if comment := re.fullmatch(r" *# ?(.*)", line):
            above.append(comment[1])
            continue
        if key := re.match(r"( *)([A-Za-z]\w*):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            comments[".".join(path)] = " ".join(above)
        above = []
    return list(_rows(yaml.safe_load(values), "", comments))


def _rows(part: dict[str, Any], prefix: str, comments: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, value in part.items():
        key = f"{prefix}{name}"
        comment = comments.get(key, "").replace("|", "\\|")
        if any(note for path, note in comments.items() if path.startswith(f"{key}.")):
            if comment:
                yield key, "", comment
            yield from _rows(value, f"{key}.", comments)
        else:
            yield key, f"`{json.dumps(value, ensure_ascii=False)}`", comment


def schema(values: dict[str, Any]) -> str:
    """Return the schema of the values with that of `config` in it.

    In draft 7, without `$id` and without anything beside a `$ref` that matters: older versions of Helm 3 know no more.
    """
    program = json_schema()
    definitions = {f"config.{name}": _moved(body) for name, body in program["$defs"].items()}
    for name in CHART_S_OWN:
        del definitions["config.Root"]["properties"][name]
    ours = {name: body for name, body in values["definitions"].items() if not name.startswith("config.")}
    return json.dumps({**values, "definitions": {**ours, **definitions}}, indent=1, ensure_ascii=False) + "\n"


def _moved(part: Any) -> Any:
    if isinstance(part, list):
        return [_moved(item) for item in part]
    if not isinstance(part, dict):
        return part
    moved = {key: _moved(value) for key, value in part.items() if key != "discriminator"}  # no JSON Schema's keyword
    if "$ref" in moved:
        moved["$ref"] = moved["$ref"].replace("#/$defs/", "#/definitions/config.")
    if isinstance(moved.get("pattern"), str):  # Go's expressions cannot look ahead; the program says the rest
        moved["pattern"] = moved["pattern"].replace("(?=.)", "")
    return moved


def main() -> None:
    """Write what is not as it should be, and remove copies of what is gone."""
    files = produced()
    for path in (CHART / "files").glob("*/*"):
        if path not in files:
            path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
