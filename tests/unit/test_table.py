from __future__ import annotations

import json
from typing import Any

import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS, iso
from nervure.core.settings import Limits
from nervure.sense.decode import decode
from nervure.sense.directory import Directory
from nervure.sense.intake import Intake
from nervure.sense.part import Part, Place
from nervure.sense.reason import MALFORMED, OUT_OF_TYPE, UNKNOWN_STREAM

NOW = 1_700_000_000 * SECOND_NS


def read(message: Any) -> Part:
    directory = Directory(
        [
            Datastream(id=1, name="a", unit="m", thing=1, solution="water"),
            Datastream(id=2, name="b", unit="", thing=1, solution="water"),
        ]
    )
    place = Place(directory=directory, limits=Limits(), row=None, received_ns=NOW)
    return decode(json.dumps(message).encode(), place)


def table(rows: list[Any], components: list[str], stream: int = 1) -> dict[str, Any]:
    return {
        "Datastream": {"@iot.id": stream},
        "components": components,
        "dataArray@iot.count": len(rows),
        "dataArray": rows,
    }


def test_the_example_of_the_standard() -> None:
    """OGC 18-088, section 16.3, with its times without a colon in the zone."""
    part = read(
        [
            table([["2010-12-23T10:20:00-0700", 20, 1], ["2010-12-23T10:21:00-0700", 30, 1]],
                  ["phenomenonTime", "result", "FeatureOfInterest/id"]),
            table([["2010-12-23T10:20:00-0700", 65, 1], ["2010-12-23T10:21:00-0700", 60, 1]],
                  ["phenomenonTime", "result", "FeatureOfInterest/id"], 2),
        ]
    )  # fmt: skip
    assert part.stream.tolist() == [0, 0, 1, 1]
    assert part.index.tolist() == [0, 1, 2, 3]
    assert part.value.tolist() == [20.0, 30.0, 65.0, 60.0]
    assert iso(int(part.time[0])) == "2010-12-23T17:20:00Z"


def test_the_quick_and_the_patient_way_agree() -> None:
    rows: list[Any] = [[iso(NOW - step * SECOND_NS), iso(NOW), step / 7] for step in range(20)]
    components = ["phenomenonTime", "resultTime", "result"]
    quick, slow = read(table(rows, components)), read(table([*rows, [None, None, "x"]], components))
    for name in ("stream", "index", "time", "result_time", "value"):
        assert getattr(quick, name).tolist() == getattr(slow, name).tolist()
    assert [(fault.reason, fault.index) for fault in slow.faults] == [(OUT_OF_TYPE, 20)]


def test_rows_and_tables_that_are_wrong_leave_the_others() -> None:
    part = read(
        [
            table([[1], [2, 3], "x"], ["result"]),
            table([[1], [2]], ["result"], 99),
            table([[1]], ["phenomenonTime"]),
            {"Datastream": {"@iot.id": 1}, "dataArray": [[1]]},
            "nonsense",
            table([], ["result"]),
            table([["open"], [None]], ["result"], 2),
        ]
    )
    assert part.stream.tolist() == [0, 1]
    assert part.index.tolist() == [0, 8]
    assert part.text == [None, '"open"']
    assert part.time.tolist() == [NOW, NOW]
    assert [(fault.reason, fault.count) for fault in part.faults] == [
        (MALFORMED, 5),
        ("not-a-number", 1),
        (UNKNOWN_STREAM, 2),
    ]


@pytest.mark.parametrize("components", [["result", "result"], ["result", "x", "y"]])
def test_strange_components(components: list[str]) -> None:
    part = read(table([list(range(len(components)))], components))
    assert len(part.value) == 1


def test_nobody_gets_the_readings_of_others_by_choosing_their_name() -> None:
    def stream(id: int, name: str, key: str | None = None) -> Datastream:
        return Datastream(id=id, name=name, key=key, unit="m", thing=id)

    ours = [stream(7, "mill inflow"), stream(8, "own", "own")]
    theirs = [stream(20, "x", "mill inflow"), stream(21, "y", "7"), stream(22, "z", "Datastreams(7)")]
    directory, intake = Directory([*ours, *theirs]), Intake([*ours, *theirs], Limits())
    assert directory.find("mill inflow") is None
    assert directory.datastreams[directory.find("own") or 0].id == 8
    assert [intake.named(name) for name in ("7", "Datastreams(7)", "mill inflow", "own")] == [7, 7, None, 8]


def test_what_goes_with_a_number_is_read_as_what_goes_with_anything() -> None:
    components = ["phenomenonTime", "result", "parameters", "validTime", "resultQuality"]
    when = "2026-01-01T00:00:00Z"
    part = read([table([[when, 1, {"a": [1]}, when, "good"], [when, 2, None, None, None]], components)])
    assert part.faults == ()
    assert part.value.tolist() == [1.0, 2.0]
    assert part.extra is not None
    assert json.loads(part.extra[0] or "") == {
        "parameters": {"a": [1]},
        "resultQuality": "good",
        "validTime": {"start": 1_767_225_600 * SECOND_NS, "end": 1_767_225_600 * SECOND_NS},
    }
    assert part.extra[1] is None


@pytest.mark.parametrize("odd", ["1e400", "9" * 4_301, "[" * 31 + "]" * 31, "[" * 600 + "]" * 600])
@pytest.mark.parametrize("component", ["resultQuality", "parameters", "result"])
def test_what_could_not_be_read_again_is_not_kept(component: str, odd: str) -> None:
    """Else every question for it, or for what lies beside it, would fail."""
    freely = Datastream(id=1, name="a", unit="", thing=1)
    intake = Intake([freely], Limits())
    row = f"[{odd}]" if component == "result" else f"[1,{odd}]"
    names = '["result"]' if component == "result" else f'["result","{component}"]'
    said = f'[{{"Datastream":{{"@iot.id":1}},"components":{names},"dataArray":[{row}]}}]'
    for subject in ("v1//1.Observations", "v1//1.Datastreams(1).Observations"):
        batch, rejects = intake.check(subject, said.encode(), NOW)
        assert len(batch) == 0
        assert [one.reason for one in rejects] == [MALFORMED]
