"""The sidecar's templates in the chart of somebody's own application, as docs/kubernetes.md shows it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import kubernetes_validate
import pytest
from chart_kit import CHART, ROOT, SECRETS, Rendered, containers, helm


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """The files that docs/kubernetes.md shows, each named in its first line."""
    for text in re.findall(r"```yaml\n(# shop/.*?)```", (ROOT / "docs" / "kubernetes.md").read_text(), re.DOTALL):
        path = tmp_path / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copytree(CHART, tmp_path / "shop" / "charts" / "luminalog-sidecar")
    return tmp_path / "shop"


def test_the_documented_chart_of_an_application_gets_its_sidecar(parent: Path, tmp_path: Path) -> None:
    with helm.Chart.load(parent) as chart:
        files = chart.render({}, name="shop", namespace="monitoring")
    rendered = Rendered({name.replace("shop/templates/NOTES.txt", ""): text for name, text in files.items()})
    deployment = rendered.one("Deployment")
    kubernetes_validate.validate(deployment, "1.37", strict=True)
    pod = deployment["spec"]["template"]
    assert [one["name"] for one in containers(pod)] == ["luminalog-sidecar", "shop"]
    mounted = {volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume}
    assert mounted == {rendered.config_map["metadata"]["name"]}
    (secrets,) = (one["projected"]["sources"] for one in pod["spec"]["volumes"] if "projected" in one)
    assert [source["secret"]["name"] for source in secrets] == ["shop-pager"]
    assert pod["spec"]["terminationGracePeriodSeconds"] >= 40
    config = rendered.config(tmp_path / "etc", SECRETS).config
    assert config is not None
    assert [rule.name for rule in config.rules] == ["Every fatal error"]
    assert {volume["name"] for volume in pod["spec"]["volumes"]} >= {
        mount["name"] for one in containers(pod) for mount in one["volumeMounts"]
    }
