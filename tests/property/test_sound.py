"""What was read on its way in is what the log brings: decoded again, it would be the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS, iso
from nervure.core.observation import PACK_BITS, Batch, Sound
from nervure.core.settings import Limits
from nervure.node import event
from nervure.sense.intake import Intake
from nervure.store.latest import Latest
from nervure.store.memory import Memory
from nervure.stream.subject import reading_subject
from nervure.stream.wire import Entries

NOW = 1_700_000_000 * SECOND_NS
NARROW = Datastream(id=1, name="flow", unit="L/s", thing=1, solution="water", low=-50.0, high=50.0)
FREE = Datastream(id=2, name="mine", unit="m", thing=1)
WIDE = Datastream(id=3, name="state", unit="", thing=1, solution="water")
ARRAYS = Datastream(id=4, name="both", unit="", thing=1, multi=True, data_types=["a", "b"])
SETS = [(NARROW,), (FREE,), (WIDE,), (FREE, WIDE), (NARROW, FREE, WIDE), (FREE, WIDE, ARRAYS)]
ARRIVALS = st.sampled_from([0, 1, -3600 * SECOND_NS, 3600 * SECOND_NS])

numbers = st.sampled_from([0, 1, -1, 12.5, -0.0, 49.999, 51, 1e3, 2**53 - 1, 2**53, 1e-300, 1e400])
moments = st.one_of(
    st.integers(-2_000 * SECOND_NS, 2_000 * SECOND_NS).map(lambda ns: iso(NOW + ns // 1000 * 1000)),
    st.sampled_from([
        None, "2023-11-14T22:13:20+01:00", "2023-11-14T22:13:20.1234567Z", "1970-01-01T00:00:00Z",
        "2400-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2023-11-14T22:13:20", "2023-11-14", 1_700_000_000,
        1_700_000_000_123, 1_700_000_000.25, 17_000_000_000_000_001, -1, 1 << 63, "a",
    ]),
)  # fmt: skip
more: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["resultTime", "unit", "parameters", "x", "v", "FeatureOfInterest", "Datastream"]),
    st.sampled_from([None, "2023-11-14T22:13:20Z", "m", {"a": [1]}, [[[]]], "x" * 200]),
    max_size=2,
)


@st.composite
def bodies(draw: Any) -> bytes:
    """Write a reading as clients may: keys in any order, twice, with blanks, and with more to it."""
    found: dict[str, Any] = {"result": draw(numbers), "phenomenonTime": draw(moments)} | draw(more)
    if found["phenomenonTime"] is None and draw(st.booleans()):
        del found["phenomenonTime"]
    pairs = draw(st.permutations(list(found.items())))
    if draw(st.integers(0, 9)) == 0:
        pairs.append(("result", draw(numbers)))
    blank = draw(st.sampled_from(["", " ", "\n"]))
    text = ",".join(f"{json.dumps(key)}:{blank}{json.dumps(value)}" for key, value in pairs)
    return f"{blank}{{{text}}}{blank}".replace("Infinity", "1e400").encode()


def posted(
    streams: tuple[Datastream, ...], choices: list[tuple[int, bytes]]
) -> list[tuple[int, bytes, Sound]]:
    """Return the readings that are sound on their way in."""
    intake, found = Intake(streams, Limits()), []
    for number, body in choices:
        stream = streams[number % len(streams)].id
        sound = intake.sound(reading_subject(stream), body, NOW)
        if sound is not None:
            found.append((stream, body, sound))
    return found


def decoded(intake: Intake, readings: list[tuple[int, bytes, Sound]], arrival_ns: int) -> Batch | None:
    """Return what the message of the log is decoded as, None where something is the matter."""
    puts = event.read(event.gathered([(stream, body) for stream, body, _ in readings])).make
    entries = Entries(
        sequence=list(range(len(puts))),
        subject=[reading_subject(one.datastream) for one in puts],
        payload=[bytes(one.message) for one in puts],
        received_ns=[arrival_ns] * len(puts),
    )
    batch, rejects = intake.again(entries)
    return None if rejects else msgspec.structs.replace(batch, id=7 << PACK_BITS | batch.id >> PACK_BITS)


def require_same(found: Batch, wanted: Batch) -> None:
    for name in Batch.__struct_fields__:
        one, other = getattr(found, name), getattr(wanted, name)
        if isinstance(other, np.ndarray):
            assert (one.dtype, one.tolist() if name not in ("low", "high") else len(one)) == (
                other.dtype, other.tolist() if name not in ("low", "high") else len(other),
            ), name  # fmt: skip
        else:
            assert one == other, name
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert (found.result_time is found.time) == (wanted.result_time is wanted.time)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SETS), st.lists(st.tuples(st.integers(0, 2), bodies()), max_size=9), ARRIVALS)
def test_what_is_put_together_is_what_is_decoded(
    streams: tuple[Datastream, ...], choices: list[tuple[int, bytes]], later_ns: int
) -> None:
    readings, intake = posted(streams, choices), Intake(streams, Limits())
    if readings:
        found = intake.sounds([(stream, sound) for stream, _, sound in readings], 7, NOW + later_ns)
        wanted = decoded(intake, readings, NOW + later_ns)
        if found is not None:
            assert wanted is not None
            require_same(found, wanted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-100, 100)), min_size=1, max_size=9))
def test_what_is_usual_is_not_decoded_again(choices: list[tuple[int, int]]) -> None:
    usual = [(one, b'{"result":%d}' % value) for one, value in choices]
    streams = (FREE, WIDE)
    readings = posted(streams, usual)
    found = Intake(streams, Limits()).sounds([(stream, sound) for stream, _, sound in readings], 7, NOW)
    assert found is not None
    assert found.value.tolist() == [value for _, value in choices]
    assert found.time.tolist() == [NOW] * len(choices)


def test_what_was_made_unknown_meanwhile_is_decoded_again() -> None:
    readings = posted((FREE,), [(0, b'{"result":1}')] * 2)
    known = [(stream, sound) for stream, _, sound in readings]
    assert Intake((FREE,), Limits()).sounds(known, 7, NOW) is not None
    assert Intake((WIDE,), Limits()).sounds(known, 7, NOW) is None


class Columns(Latest):
    """Notes what is newest by columns, however few rows come."""

    def rises(self, batch: Batch) -> int | None:
        return None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_one_datastream_that_rises_is_noted_as_others_are(seed: int) -> None:
    """Of one Datastream whose rows rise, memory notes the newest without columns: it comes out the same."""
    noise = np.random.default_rng(seed)
    quick, slow = (Memory(one, 0, lambda _: {}) for one in (Latest(), Columns()))
    for turn in range(1, 8):
        count = int(noise.integers(1, 6)) if turn % 5 else 70
        time = (
            noise.integers(0, 40, count)
            if turn % 3 == 0
            else np.sort(noise.permutation(100)[:count]) + 50 * turn
        )
        batch = Batch.of(
            id=(turn << PACK_BITS) + np.arange(count),
            datastream=np.full(count, int(noise.integers(1, 4)))
            if noise.random() < 0.8
            else noise.integers(1, 4, count),
            time=time * 1_000 + int(noise.integers(0, 2)) * 7,
            value=noise.integers(0, 3, count),
            result_time=None if noise.random() < 0.8 else time * 1_000 + 5_000,
            end_time=None if noise.random() < 0.9 else time * 1_000 + 1_000_000,
            marks=noise.choice([0, 1]) * np.ones(count, dtype=np.int8) if noise.random() < 0.3 else None,
        )
        if noise.random() < 0.7:
            batch = msgspec.structs.replace(batch, marks=np.ndarray((count,), np.int8, b"\1", strides=(0,)))
        found, wanted = quick.append(batch, turn), slow.append(batch, turn)
        assert (found.rows, found.duplicates, len(found.conflicts)) == (
            wanted.rows, wanted.duplicates, len(wanted.conflicts),
        )  # fmt: skip
        for name in ("datastream", "time", "value", "result_time", "result_of_time", "first", "rows", "end",
                     "first_result", "last_result", "moved", "deep_time", "deep_result"):  # fmt: skip
            assert getattr(quick.latest, name).tolist() == getattr(slow.latest, name).tolist(), name
        for one, other in zip(quick.parts(), slow.parts(), strict=True):
            assert one.id.tolist() == other.id.tolist()
            assert one.time.tolist() == other.time.tolist()
