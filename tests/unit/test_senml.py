from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS
from nervure.core.settings import Limits
from nervure.core.unit import check
from nervure.sense.decode import decode
from nervure.sense.directory import Directory
from nervure.sense.part import Part, Place
from nervure.sense.reason import MALFORMED, NOT_A_NUMBER, OUT_OF_TYPE, UNKNOWN_STREAM, WRONG_UNIT, Unreadable
from nervure.sense.senml_unit import UCUM

NOW = 1_700_000_000 * SECOND_NS
BOARD = "urn:dev:ow:10e2073a0108006:"
STREAMS = (
    Datastream(id=1, name=f"{BOARD}voltage", unit="V", thing=1, solution="water"),
    Datastream(id=2, name=f"{BOARD}current", unit="mA", thing=1, solution="water"),
    Datastream(id=3, name="door", unit="", thing=1, solution="water"),
    Datastream(id=4, name="level", unit="m", thing=1, solution="water"),
)

RFC_8428_SECTION_6 = bytes.fromhex(
    "87a721781b75726e3a6465763a6f773a313065323037336130313038303036 3a22fb41d303a15b00106223614120050067"
    "766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272"
    "656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e740621"
    "02f93e00a3006763757272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333"
)


def read(pack: Any, stream: int | None = None) -> Part:
    directory = Directory(STREAMS)
    row = None if stream is None else directory.row_of_id[stream]
    place = Place(directory=directory, limits=Limits(), row=row, received_ns=NOW)
    return decode(pack if isinstance(pack, bytes) else json.dumps(pack).encode(), place)


def test_the_cbor_example_of_the_rfc() -> None:
    part = read(RFC_8428_SECTION_6)
    assert part.faults == ()
    assert part.stream.tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert part.value == pytest.approx([120.1, 1200, 1300, 1400, 1500, 1600, 1700])
    base = 1_276_020_076_001_000_000
    assert part.time.tolist() == [base + step * SECOND_NS for step in (0, -5, -4, -3, -2, -1, 0)]
    assert part.index.tolist() == list(range(7))


def test_the_json_example_of_the_rfc_says_the_same() -> None:
    pack = [
        {"bn": BOARD, "bt": 1.276020076001e9, "bu": "A", "bver": 5, "n": "voltage", "u": "V", "v": 120.1},
        *[
            {"n": "current", "t": step, "v": value}
            for step, value in zip(range(-5, 1), (1.2, 1.3, 1.4, 1.5, 1.6, 1.7), strict=True)
        ],
    ]
    ours, theirs = read(pack), read(RFC_8428_SECTION_6)
    assert ours.time.tolist() == theirs.time.tolist()
    assert ours.value == pytest.approx(theirs.value)


@pytest.mark.parametrize("wire", ["json", "cbor"])
def test_base_value_unit_and_time_are_added(wire: str) -> None:
    pack: list[dict[str, Any]] = [
        {"bn": "x", "bu": "cm", "bv": 100, "bt": 1_600_000_000, "v": 1},
        {"v": 2, "t": 10},
        {"v": -100},
    ]
    part = read(pack if wire == "json" else cbor2.dumps(pack), 4)
    assert part.value == pytest.approx([1.01, 1.02, 0.0])
    assert [time // SECOND_NS - 1_600_000_000 for time in part.time.tolist()] == [0, 10, 0]


def test_small_times_count_from_now() -> None:
    part = read([{"v": 1}, {"v": 2, "t": -30}, {"v": 3, "t": 1_600_000_000}], 4)
    assert part.time.tolist() == [NOW, NOW - 30 * SECOND_NS, 1_600_000_000 * SECOND_NS]


def test_records_of_another_name_are_not_of_this_datastream() -> None:
    part = read([{"n": "level", "v": 1}, {"n": "temperature", "v": 2}, {"n": "level", "v": 3}], 4)
    assert part.value.tolist() == [1.0, 3.0]
    assert [(fault.reason, fault.index) for fault in part.faults] == [(UNKNOWN_STREAM, 1)]


def test_a_bad_record_leaves_the_others() -> None:
    part = read(
        [
            {"v": 1},
            {"v": "x"},
            {"s": 4},
            {"vs": "open"},
            {"u": "kg", "v": 1},
            {"t": "x", "v": 1},
            7,
            {"v": 2},
        ],
        4,
    )
    assert part.value.tolist() == [1.0, 2.0]
    assert part.index.tolist() == [0, 7]
    assert [(fault.reason, fault.index, fault.count) for fault in part.faults] == [
        (MALFORMED, 1, 4),
        (OUT_OF_TYPE, 3, 1),
        (WRONG_UNIT, 4, 1),
    ]


def test_texts_truths_and_data_where_they_are_welcome() -> None:
    part = read([{"vs": "open"}, {"vb": False}, {"vd": "aGk"}, {"v": 3}], 3)
    assert part.text == ['"open"', "false", '"aGk"', None]
    assert read(cbor2.dumps([{8: b"hi"}]), 3).text == ['"aGk="']


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        ([{"bver": 11, "v": 1}], "version 11"),
        ([{"v": 1, "secret_": 2}], "'secret_' must be understood"),
        ([{"bt": "noon", "v": 1}, {"v": 2}], "record 0, on which the others build"),
    ],
)
def test_what_makes_a_whole_pack_unreadable(pack: list[Any], said: str) -> None:
    with pytest.raises(Unreadable) as found:
        read(pack, 4)
    assert found.value.reason == MALFORMED
    assert said in found.value.detail


def test_not_a_number_in_cbor() -> None:
    part = read(cbor2.dumps([{2: 1.0}, {2: float("nan")}, {2: float("inf")}]), 4)
    assert part.value.tolist() == [1.0]
    assert [(fault.reason, fault.count) for fault in part.faults] == [(NOT_A_NUMBER, 2)]


def test_a_record_that_only_sets_the_base_is_no_reading() -> None:
    part = read([{"bn": "x", "bt": 1_600_000_000}, {"v": 1}, {"v": 2, "t": 1}], 4)
    assert part.value.tolist() == [1.0, 2.0]
    assert part.index.tolist() == [1, 2]
    assert part.faults == ()


@pytest.mark.parametrize("code", sorted(set(UCUM.values())))
def test_every_unit_we_translate_to_is_ucum(code: str) -> None:
    assert check(code) == code


def test_columns_and_records_are_read_alike() -> None:
    """The quick way for plain packs and the way for all others give the same."""
    plain = [
        {"bn": "x", "bt": 1.6e9, "bu": "cm", "v": 1.5},
        *[{"t": step, "v": step / 3} for step in range(50)],
    ]
    quick, slow = read(plain, 4), read([*plain, {"n": "other", "v": 0}], 4)
    assert quick.time.tolist() == slow.time.tolist()
    assert quick.value.tolist() == slow.value.tolist()
    assert slow.faults


def test_a_message_of_bad_records_is_given_up_after_a_thousand() -> None:
    part = read([{"v": 1}, *[{"v": "x"}] * 1500, {"v": 2}], 4)
    assert part.value.tolist() == [1.0]
    assert [(fault.reason, fault.count) for fault in part.faults] == [(MALFORMED, 1501)]
