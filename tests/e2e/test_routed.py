"""Incidents go where their service, namespace, environment and level lead, and end with a reason that people read."""

from __future__ import annotations

import json

from running import World

from sidecar.standin.traffic import Service

RULE = {
    "ruleName": "Errors",
    "severity": "error",
    "groupBy": ["namespace", "environment", "error_type"],
    "match": {"namespace": {"exists": True}},
    "labels": {"where": "{namespace}/{environment}"},
    "resolve": {"when": {"message": {"glob": "*recovered*"}}},
}
ROUTES = [
    {"environment": "test", "channels": []},
    {"namespace": "shop*", "level": "fatal", "channels": ["pagerduty", "discord"]},
    {"namespace": "shop*", "channels": ["discord"]},
]
POD = "orders-7d4b9c6f5d-x2x4z_shop-eu_app-" + "0123456789abcdef" * 4


async def test_a_container_s_incident_is_routed_by_its_namespace_and_says_which_line_ended_it(world: World) -> None:
    daemon = await world.start(rules=[RULE], routing={"routes": ROUTES})
    log = world.logs / f"{POD}.log"
    lines = [
        world.record(0, "error", "it broke", environment="test"),
        world.record(0, "error", "it broke", environment="production"),
    ]
    cri = [f"{world.time(0).replace('+00:00', 'Z')} stderr F {line}" for line in lines]
    world.write(*cri, to=log)
    (chat,) = await world.received(1, "trigger")
    assert chat.service is Service.DISCORD
    assert "shop-eu/production" in json.dumps(chat.document)
    where = ["--url", daemon.url]
    found = json.loads((await world.run("incidents", "--json", *where)).out)["incidents"]
    assert {(one["environment"], one["namespace"]) for one in found} == {("test", "shop-eu"), ("production", "shop-eu")}
    risen = world.record(0.01, "fatal", "it broke for good", environment="production")
    world.write(f"{world.time(0).replace('+00:00', 'Z')} stderr F {risen}", to=log)
    (page,) = [one for one in await world.received(2, "trigger") if one.service is Service.PAGERDUTY]
    assert page.document["payload"]["custom_details"]["namespace"] == "shop-eu"
    over = world.record(0.02, "debug", "recovered, password=hunter2", environment="production")
    world.write(f"{world.time(0).replace('+00:00', 'Z')} stdout F {over}", to=log)
    ends = await world.received(2, "resolve")
    assert {one.service for one in ends} == {Service.PAGERDUTY, Service.DISCORD}
    (said,) = [json.dumps(one.document) for one in ends if one.service is Service.DISCORD]
    assert "a record said that it is over" in said
    assert "hunter2" not in said
    shown = await world.run(
        "incidents", "show", next(one["id"] for one in found if one["environment"] != "test"), *where
    )
    assert "Namespace: shop-eu" in shown.out
    assert "Why it closed: a record said that it is over: " in shown.out
    assert "recovered" in shown.out
    assert "hunter2" not in shown.out
