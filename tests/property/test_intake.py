"""Whatever bytes arrive, intake answers with readings and rejects, and never raises."""

from __future__ import annotations

import json
import math
from typing import Any

import cbor2
import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, Reject, sequence_of
from nervure.core.settings import Limits
from nervure.sense.intake import SHARED, Intake
from nervure.sense.reason import REASONS
from nervure.stream.subject import reading_subject
from nervure.stream.wire import Entries

NOW = 1_700_000_000 * SECOND_NS
STREAMS = (
    Datastream(id=1, name="flow", unit="L/s", thing=1, solution="water", low=0, high=100, every_ns=SECOND_NS),
    Datastream(id=2, name="state", unit="", thing=1, solution="water"),
    Datastream(id=3, name="ahead", unit="L/s", thing=1, solution="water", kind="forecast", source=1),
)
SUBJECTS = [*(reading_subject(one.id) for one in STREAMS), SHARED, reading_subject(9), "nv.in.hall.x", "x"]
KEYS = [
    "result",
    "phenomenonTime",
    "resultTime",
    "unit",
    "v",
    "t0",
    "dt",
    "t",
    "low",
    "high",
    "Datastream",
    "@iot.id",
    "components",
    "dataArray",
    "bn",
    "bt",
    "bu",
    "bv",
    "bver",
    "n",
    "u",
    "vs",
    "vb",
    "vd",
    "s",
]

numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.sampled_from([0, 1e308, -1e308, 2**63, 1_700_000_000, NOW, 253_402_300_800, -1]),
)
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "2023-03-01T00:00:00Z",
            "1970-01-01",
            "2100-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "m3/h",
            "flow",
            "10*999",
        ]
    ),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts, st.binary(max_size=8))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.integers(-7, 9), texts), inner, max_size=6),
    ),
    max_leaves=25,
)
times = st.one_of(texts, numbers, st.none())
columns = st.lists(st.one_of(st.floats(), st.none(), leaves), max_size=6)
shaped = st.one_of(
    st.fixed_dictionaries(
        {"result": st.one_of(numbers, trees)},
        optional={"phenomenonTime": times, "resultTime": times, "unit": texts, "Datastream": trees},
    ),
    st.fixed_dictionaries(
        {"v": columns},
        optional={
            "t0": times,
            "dt": numbers,
            "t": st.lists(times),
            "low": columns,
            "high": columns,
            "unit": texts,
        },
    ),
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "v": numbers,
                "t": numbers,
                "u": texts,
                "n": texts,
                "bn": texts,
                "bt": numbers,
                "vs": texts,
            }
            | {"bv": numbers, "bu": texts, "vb": st.booleans(), "vd": texts, "bver": numbers, "s": numbers},
        ),
        max_size=4,
    ),
    st.fixed_dictionaries(
        {
            "components": st.lists(
                st.sampled_from(["result", "phenomenonTime", "resultTime", "x"]), max_size=3
            ),
            "dataArray": st.lists(st.lists(leaves, max_size=3), max_size=4),
        },
        optional={"Datastream": st.fixed_dictionaries({"@iot.id": st.one_of(st.integers(0, 4), leaves)})},
    ),
)


def as_json(tree: Any) -> bytes:
    return json.dumps(tree, default=lambda raw: raw.hex()).encode()


def as_cbor(tree: Any) -> bytes:
    return cbor2.dumps(tree)


messages = st.tuples(
    st.sampled_from(SUBJECTS),
    st.one_of(
        st.binary(max_size=60),
        trees.map(as_json),
        shaped.map(as_json),
        shaped.map(as_cbor),
        st.tuples(st.one_of(trees, shaped).map(as_cbor), st.integers(0, 40)).map(
            lambda cut: cut[0][: cut[1]]
        ),
        st.tuples(trees.map(as_json), st.integers(0, 40)).map(lambda cut: cut[0][: cut[1]]),
    ),
)


def arrive(sent: list[tuple[str, bytes]]) -> Entries:
    return Entries(
        sequence=list(range(1, len(sent) + 1)),
        subject=[subject for subject, _ in sent],
        payload=[payload for _, payload in sent],
        received_ns=[NOW + place for place in range(len(sent))],
    )


def part_of(entries: Entries, start: int, count: int) -> Entries:
    return Entries(
        **{name: getattr(entries, name)[start : start + count] for name in Entries.__struct_fields__}
    )


def check(batch: Batch, rejects: list[Reject], count: int) -> None:
    columns = [getattr(batch, name) for name in Batch.__struct_fields__]
    lengths = {len(column) for column in columns if column is not None}
    assert len(lengths) == 1
    assert (np.diff(batch.id) > 0).all()
    assert all(1 <= sequence_of(identity) <= count for identity in batch.id.tolist())
    assert np.isin(batch.datastream, [1, 2, 3]).all()
    for place, value in enumerate(batch.value.tolist()):
        text = batch.text[place] if batch.text is not None else None
        assert math.isfinite(value) if text is None else json.loads(text) is not None
    assert (batch.result_time <= NOW + count + 600 * SECOND_NS).all()
    assert (batch.time >= 631_152_000 * SECOND_NS).all()
    places = [(reject.sequence, reject.index) for reject in rejects]
    assert places == sorted(set(places))
    assert all(reject.reason in REASONS and reject.detail and reject.count > 0 for reject in rejects)
    msgspec.json.encode(rejects)  # quarantine can write every one of them
    taken = set(zip((batch.id >> 16).tolist(), (batch.id & 0xFFFF).tolist(), strict=True))
    assert not taken.intersection(places)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages, max_size=8))
def test_no_bytes_stop_the_loop(sent: list[tuple[str, bytes]]) -> None:
    batch, rejects = Intake(STREAMS, Limits()).take(arrive(sent))
    check(batch, rejects, len(sent))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages, max_size=8), st.integers(1, 8))
def test_how_messages_are_cut_into_batches_makes_no_difference(
    sent: list[tuple[str, bytes]], size: int
) -> None:
    whole, rejected = Intake(STREAMS, Limits()).take(arrive(sent))
    intake, entries = Intake(STREAMS, Limits()), arrive(sent)
    parts = [intake.take(part_of(entries, cut, size)) for cut in range(0, len(sent), size)]
    batch = Batch.concat([one for one, _ in parts])
    assert batch.id.tolist() == whole.id.tolist()
    assert batch.time.tolist() == whole.time.tolist()
    np.testing.assert_array_equal(batch.value, whole.value)
    assert [one for _, rejects in parts for one in rejects] == rejected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30), st.floats(0.001, 10))
def test_a_pack_and_its_single_readings_are_the_same_readings(values: list[float | None], dt: float) -> None:
    first, step = 1_600_000_000 * SECOND_NS, round(dt * SECOND_NS)
    pack = {"t0": first, "dt": dt, "v": values}
    singles = [
        {"result": value, "phenomenonTime": first + place * step}
        for place, value in enumerate(values)
        if value is not None
    ]
    subject = reading_subject(1)
    intake = Intake(STREAMS, Limits())
    one, _ = intake.take(arrive([(subject, as_json(pack))]))
    many, _ = intake.take(arrive([(subject, as_json(single)) for single in singles]))
    assert one.time.tolist() == many.time.tolist()
    assert one.value.tolist() == many.value.tolist()
    assert one.quality.tolist() == many.quality.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=4),
            st.sampled_from(["", '"result":7,', '"result":null,', '"unit":"L/s",', '"more":{"result":7},']),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_packs_that_come_together_are_read_as_each_by_itself(
    packs: list[tuple[list[float | None], str, bool]],
) -> None:
    """Whatever they begin with, however many values they have, and where a single reading is in them too."""
    sent = []
    for number, (values, more, last) in enumerate(packs):
        parts = [f'"t0":{(1_600_000_000 + 10 * number) * SECOND_NS},"dt":1,', more]
        body = "".join(reversed(parts) if last else parts) + '"v":' + as_json(values).decode()
        sent.append((reading_subject(1), f"{{{body}}}".encode()))
    whole, rejected = Intake(STREAMS, Limits()).take(arrive(sent))
    alone, entries = Intake(STREAMS, Limits()), arrive(sent)
    parts_of_it = [alone.take(part_of(entries, place, 1)) for place in range(len(sent))]
    batch = Batch.concat([one for one, _ in parts_of_it])
    assert batch.id.tolist() == whole.id.tolist()
    assert batch.time.tolist() == whole.time.tolist()
    np.testing.assert_array_equal(batch.value, whole.value)
    assert [one for _, rejects in parts_of_it for one in rejects] == rejected
    single = [number for number, (_, more, _) in enumerate(packs) if more == '"result":7,']
    assert [whole.value[whole.id >> 16 == number + 1].tolist() for number in single] == [[7.0]] * len(single)
