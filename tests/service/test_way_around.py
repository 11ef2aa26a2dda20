"""Ways around what one may do, tried at a running node: nobody gets further by them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from nervure.core.settings import Settings
from nervure.node.compose import Node
from tests.service.test_access import client, closed, running, thing, token_of

__all__ = ["closed"]

pytestmark = pytest.mark.service

PLACE = {"name": "new", "description": "new", "encodingType": "application/geo+json"}
POINT = {"type": "Point", "coordinates": [11.0, 48.0]}


async def post(asking: httpx.AsyncClient, path: str, body: Any, **headers: str) -> httpx.Response:
    return await asking.post(f"/v1.1/{path}", json=body, headers=headers)


async def count(asking: httpx.AsyncClient, entities: str) -> int:
    return int((await asking.get(f"/v1.1/{entities}?$count=true&$top=0")).json()["@iot.count"])


def valve() -> dict[str, Any]:
    described = {"name": "valve", "description": "valve"}
    field = {"type": "Count", "name": "open", "label": "open"}
    actuator = {**described, "encodingType": "text/plain", "metadata": "none"}
    parameters = {"type": "DataRecord", "field": [field]}
    return {**described, "taskingParameters": parameters, "Thing": {"@iot.id": 1}, "Actuator": actuator}


async def built(settings: Settings, node: Node) -> tuple[str, str]:
    """Make a Thing, and return the tokens of its engineer and of an operator who acts."""
    engineer = token_of(node.entry.office, "eng", "engineer", granted=("act",))
    operator = token_of(node.entry.office, "op", "operator", granted=("act",))
    async with client(settings, engineer) as asking:
        assert (await post(asking, "Things", thing("pump"))).status_code == 201
    return engineer, operator


def test_who_may_observe_and_act_makes_nothing_else_by_the_way(closed: Settings) -> None:
    async def run() -> None:
        async with running(closed) as node:
            _, operator = await built(closed, node)
            async with client(closed, operator) as asking:
                before = {
                    one: await count(asking, one) for one in ("FeaturesOfInterest", "TaskingCapabilities")
                }
                feature = {**PLACE, "feature": POINT}
                for inner in (feature, {**feature, "@iot.id": "mine"}):
                    made = {"result": 1, "FeatureOfInterest": inner}
                    assert (await post(asking, "Datastreams(1)/Observations", made)).status_code == 403
                task = {"taskingParameters": {"open": 1}}
                for inner in (valve(), {**valve(), "@iot.id": "mine"}):
                    assert (
                        await post(asking, "Tasks", task | {"TaskingCapability": inner})
                    ).status_code == 403
                linked = {"result": 1, "FeatureOfInterest": {**feature, "@iot.id": 1}}
                assert (await post(asking, "Datastreams(1)/Observations", linked)).status_code == 201
                assert {one: await count(asking, one) for one in before} == before

    asyncio.run(run())


def test_an_idempotency_key_is_of_who_chose_it(closed: Settings) -> None:
    async def run() -> None:
        async with running(closed) as node:
            ids = []
            for token in await built(closed, node):
                async with client(closed, token) as asking:
                    for _ in range(2):
                        answer = await post(
                            asking, "Datastreams(1)/Observations", {"result": 2}, **{"idempotency-key": "1"}
                        )
                        ids.append(answer.json()["@iot.id"])
                    assert await count(asking, "Observations") == 1 + len(set(ids))
            assert ids[0] == ids[1] != ids[2] == ids[3]

    asyncio.run(run())
