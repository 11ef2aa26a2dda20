"""A message that was decoded before it went to the log is not decoded again, unless it could differ."""

from __future__ import annotations

import msgspec
import pytest

from nervure.core.entity import Datastream
from nervure.core.settings import Limits
from nervure.sense.decode import decode
from nervure.sense.intake import SHARED, Intake
from nervure.sense.part import Part, Place
from nervure.stream.wire import Entries

NOW = 1_700_000_000 * 10**9


def message(rows: list[list[object]]) -> bytes:
    group = {"Datastream": {"@iot.id": 7}, "components": ["phenomenonTime", "result"], "dataArray": rows}
    return msgspec.json.encode([group])


def entry(payload: bytes) -> Entries:
    return Entries(sequence=[3], subject=[SHARED], payload=[bytes(bytearray(payload))], received_ns=[NOW + 5])


TIMED = message([["2023-01-01T00:00:00Z", 1.5], ["2023-01-02T00:00:00Z", 2]])
UNTIMED = message([[None, 1.5]])


@pytest.mark.parametrize(
    ("payload", "learns", "decoded"), [(TIMED, False, 0), (TIMED, True, 1), (UNTIMED, False, 1)]
)
def test_it_is_decoded_once_where_that_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch, payload: bytes, learns: bool, decoded: int
) -> None:
    streams = [Datastream(id=7, name="inflow", unit="L/s", thing=1)]
    intake, fresh = Intake(streams, Limits()), Intake(streams, Limits())
    assert len(intake.foretell(SHARED, payload, NOW)[0])
    if learns:
        intake.learn([*streams, Datastream(id=8, name="outflow", unit="L/s", thing=1)])
    wanted, _ = fresh.take(entry(payload))
    calls: list[bytes] = []

    def noted(data: bytes, place: Place) -> Part:
        calls.append(data)
        return decode(data, place)

    monkeypatch.setattr("nervure.sense.intake.decode", noted)
    found, rejects = intake.take(entry(payload))
    assert not rejects
    assert len(calls) == decoded
    for name in ("id", "datastream", "time", "result_time", "value", "quality"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
    calls.clear()
    intake.take(entry(payload))
    assert len(calls) == 1  # what was found is forgotten
