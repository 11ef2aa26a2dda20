"""An engineer's work in the console, in a real browser: models really trained, labels, devices, projects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from nervure.core.label import LABELS
from tests.browser.ground import pmtiles
from tests.browser.stage import Stage, drive, stage, teach
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.service

DAYS = 60


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, list[str]]]:
    folder = tmp_path_factory.mktemp("work")
    versions = teach(folder, 0, 1)
    (folder / "data" / "map.pmtiles").write_bytes(pmtiles())
    with stage(folder, DAYS * 24) as made:
        made.wait_for_forecasts()
        yield made, versions


def test_a_model_is_judged_promoted_and_rolled_back_and_a_span_labelled(
    city: tuple[Stage, list[str]],
) -> None:
    made, versions = city
    stream = made.streams["DMA 2/inflow"]
    end, begun = made.newest + 24 * 3600, time.time()  # so far the model foretells
    found = drive(made, "work", versions=versions, stream=stream)
    least, most = ((end - when) / 60 for when in (time.time(), begun))
    assert found["errors"] == []
    assert {name: wrong for name, wrong in found["violations"].items() if wrong} == {}
    assert found["wide"] == {"models": 0}
    assert found["pieces"]
    assert set(found["pieces"]) == {206}  # the map of the ground, piece by piece
    assert least <= found["farthest"] < most + 15  # a quarter of an hour is a step
    assert len(found["foretold"]) == 10
    assert "Mean error" in found["drift"]
    assert found["judged"] == 10
    _shadow(made, found, versions)
    (one,) = _labels(made, stream)
    assert (one["label"], one["note"]) == ("fault", "<i>pump</i> off")
    assert one["to"] - one["from"] == 86_400_000
    shown = httpx.get(f"{made.node.root}/Datastreams({stream})").json()["properties"]
    assert len(shown[LABELS]) == 1  # clients of SensorThings see it, too
    assert found["code"] > 100


def _labels(made: Stage, stream: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{made.node.http}/api/labels?streams={stream}").json()
    return found


def _shadow(made: Stage, found: dict[str, Any], versions: list[str]) -> None:
    """The model that was promoted for a while is back where it was; both were judged on the same readings."""
    models = {one["version"]: one for one in httpx.get(f"{made.node.http}/api/models").json()}
    assert [models[one]["promoted"] for one in versions] == [True, False]
    assert len(found["shadow"]) == 2
    judged = []
    for one in versions:
        path = f"/api/models/{models[one]['id']}/errors?days=7&replay=true"
        judged.append(httpx.get(f"{made.node.http}{path}", timeout=60).raise_for_status().json())
    assert judged[0]["whole"]["rows"] == judged[1]["whole"]["rows"] > 1_000
    assert judged[0]["whole"]["mae"] != judged[1]["whole"]["mae"]
    assert all(0.3 < one["whole"]["coverage"] <= 1 for one in judged)


def test_a_training_on_the_node_goes_to_its_end_and_one_goes_on_at_a_time(
    city: tuple[Stage, list[str]],
) -> None:
    made, versions = city
    wish = {"solution": "water", "problem": "forecast-inflow", "budget_s": 5}
    with httpx.Client(base_url=made.node.http, timeout=30) as api:
        assert api.post("/api/training", json={**wish, "solution": "noise"}).status_code == 404
        assert api.post("/api/training", json={**wish, "problem": "--promote"}).status_code == 400
        assert api.get("/api/training").json()["state"] == "none"
        assert api.post("/api/training", json=wish).status_code == 202
        assert api.post("/api/training", json=wish).status_code == 429
        stands = api.get("/api/training").json()
        assert (stands["state"], stands["problem"], stands["who"]) == ("running", wish["problem"], "anyone")
        stands = until(
            lambda: api.get("/api/training").json(), lambda seen: seen["state"] != "running",
            seconds=300, every_s=0.5,
        )  # fmt: skip
        assert stands["state"] == "done", stands["said"]
        known = {one["version"]: one for one in api.get("/api/models").json()}
    assert stands["version"] not in versions
    assert known[stands["version"]]["promoted"] is stands["promoted"]
    assert stands["said"]  # why it scores now, or does not
