"""A controller that is joined to a node's loop goes on when the node was killed and is there again."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from operator import not_
from pathlib import Path
from typing import Any

import httpx
import pytest

from nervure.bench.process import NodeProcess, free_settings
from tests.patience import until
from tests.service.test_roads import first, start

pytestmark = pytest.mark.service

MODEL = "max-pressure"


def test_a_controller_goes_on_after_its_node_was_killed(tmp_path: Path) -> None:
    """The same process, one stream of Tasks, none of them told twice."""
    node = NodeProcess(free_settings(tmp_path / "data"))
    asyncio.run(node.start())
    words = ("--seed", "1", "--net", "crossing")
    try:
        made = start(node.settings, "", "twin", "run", "roads", *words, "--enrol")
        assert made.communicate(timeout=60)[1] == ""
        with httpx.Client(base_url=node.url, trust_env=False, timeout=20) as api:
            loop = first(api, "TaskingCapabilities") or 0
            forced = {"mode": "auto", "because": "a test"}
            api.post(f"/api/loops/{loop}/mode", json=forced).raise_for_status()
            controller = start(node.settings, "", "act", "run", MODEL)
            twin = start(node.settings, "", "twin", "run", "roads", *words, "--speed", "30", "--back", "12")
            try:
                killed(node, api, loop, controller, twin)
            finally:
                for one in (twin, controller):
                    one.kill()
                    one.communicate()
    finally:
        asyncio.run(node.stop())


def killed(
    node: NodeProcess, api: httpx.Client, loop: int, controller: subprocess.Popen[str],
    twin: subprocess.Popen[str],
) -> None:  # fmt: skip
    until(lambda: taken(api), lambda seen: seen >= 5, seconds=120, running=controller)
    node.kill()
    time.sleep(1.0)  # they find nobody there
    asyncio.run(node.start())
    again = last(api)
    assert again >= 5
    until(lambda: taken(api, again), lambda seen: seen >= 5, seconds=120, running=controller)
    assert controller.poll() is None
    assert twin.poll() is None
    log = api.get(f"/api/loops/{loop}/log?limit=10000").json()
    assert log["broken"] is None  # one chain over both lives of the node
    found = tasks(api)
    told(log["lines"], found)
    known = {one["@iot.id"] for one in found}
    until(lambda: still(api, known), not_, running=controller)  # each gives way to the next


def told(lines: list[dict[str, Any]], found: list[Mapping[str, Any]]) -> None:
    """See that there is one stream of Tasks: of one model, one of a moment, each sent and taken once."""
    assert {one["properties"]["act"]["model"] for one in found} == {MODEL}
    moments = Counter(one["properties"]["act"]["inputs"] for one in found)
    assert [one for one, count in moments.items() if count > 1] == []
    for what in ("checked", "dispatched", "acknowledged"):
        each = Counter(one["task"] for one in lines if one["what"] == what)
        assert [task for task, count in each.items() if count > 1] == []


def still(api: httpx.Client, known: set[int]) -> list[int]:
    """Return which of some Tasks are not over yet."""
    open_ = ("dispatched", "acknowledged", "running")
    return [one["@iot.id"] for one in tasks(api) if one["@iot.id"] in known and one["status"] in open_]


def tasks(api: httpx.Client) -> list[Mapping[str, Any]]:
    return list(api.get("/v1.1/Tasks?$top=1000&$orderby=id asc").raise_for_status().json()["value"])


def last(api: httpx.Client) -> int:
    return max((int(one["@iot.id"]) for one in tasks(api)), default=0)


def taken(api: httpx.Client, after: int = 0) -> int:
    """Return how many Tasks after one its guard has taken."""
    good = ("acknowledged", "running", "completed", "superseded")
    return sum(one["status"] in good and int(one["@iot.id"]) > after for one in tasks(api))
