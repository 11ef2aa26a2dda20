"""A fused line: the bound holds, damage is told, what was lost is known, and both ends need one code."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as told
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.fusion import (
    CONTEXTS,
    REACH,
    SYMBOLS,
    TOTAL,
    Code,
    Receiver,
    Row,
    Sender,
    symbols,
    unpacked,
)

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

ROW = (*(1,) * REACH, TOTAL - SYMBOLS + 1, *(1,) * (SYMBOLS - REACH - 1))  # nearly always no change
FLAT = (TOTAL // SYMBOLS + TOTAL % SYMBOLS, *(TOTAL // SYMBOLS,) * (SYMBOLS - 1))
CODE = Code(
    bound=(0.5, 0.1), fine=(1, 2), keep=(1.0, 0.0), changes=((2048, 2048), (2048, 2048)),
    latents=((FLAT,) * CONTEXTS,), residuals=((FLAT,) * CONTEXTS, (ROW,) * CONTEXTS),
)  # fmt: skip


def encode(x: Singles) -> Singles:
    return (np.nan_to_num(x[:, :1]) / 30).astype(np.float32)


def decode(latent: Singles) -> Singles:
    return np.concatenate([latent * 30, latent * 0], axis=1)


def ends(**more: int) -> tuple[Sender, Receiver]:
    return Sender(CODE, encode, decode, **more), Receiver(CODE, decode)


def walk(rows: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, 2, (rows, 2)).cumsum(axis=0)


def whole(value: Floats, frame: int = 7) -> Floats:
    sender, receiver = ends(full_every=3)
    frames = [sender.frame(value[at : at + frame]) for at in range(0, len(value), frame)]
    return np.concatenate([receiver.take(one) for one in frames])


READING = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


@told(deadline=None, max_examples=60)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=READING))
def test_every_reading_comes_within_its_bound_and_what_is_missing_stays_missing(value: Floats) -> None:
    found = whole(value)
    assert (np.isnan(found) == np.isnan(value)).all()
    error = np.nan_to_num(np.abs(found - value))
    assert (error <= np.array(CODE.bound) * (1 + 1e-6) + 1e-9 * np.nan_to_num(np.abs(value))).all()


def test_a_frame_is_what_was_said() -> None:
    sender, value = ends()[0], walk(20)
    said = ends()[0].rows(value)
    frame = unpacked(CODE, sender.frame(value))
    assert frame.rows == tuple(said)
    assert (frame.number, frame.full) == (0, True)


def test_a_latent_that_serves_is_held() -> None:
    said = ends()[0].rows(np.array([[300.0, 0.0], [300.4, 0.0], [420.0, 0.0], [420.0, 0.0]]))
    assert [row.latent is not None for row in said] == [True, False, True, False]
    assert said[1] == Row(None, (0, 0))


def test_nothing_new_takes_few_bytes() -> None:
    calm = msgspec.structs.replace(
        CODE, keep=(1.0, 1.0), changes=((4000, 96), (2048, 2048)), residuals=((ROW,) * CONTEXTS,) * 2
    )
    sender = Sender(calm, encode, decode, full_every=1000)
    sender.frame(np.ones((2, 2)))
    assert len(sender.frame(np.ones((100, 2)))) <= 13, "800 bytes as they were"


@pytest.mark.parametrize("at", [0, 1, 2, 3, 6, 7, -1])
def test_a_damaged_byte_is_told(at: int) -> None:
    sender, receiver = ends()
    data = bytearray(sender.frame(walk(10)))
    data[at] ^= 4
    with pytest.raises(DataError):
        receiver.take(bytes(data))


def test_a_frame_cut_anywhere_is_told_and_nothing_of_it_is_kept() -> None:
    sender, receiver = ends()
    first, second = sender.frame(walk(5)), sender.frame(walk(5, 1))
    receiver.take(first)
    for at in range(len(second)):
        with pytest.raises(DataError):
            receiver.take(second[:at])
    assert len(receiver.take(second)) == 5


def test_a_lost_frame_is_known_and_the_next_full_one_repairs() -> None:
    sender, receiver = ends(full_every=3)
    value = walk(24)
    frames = [sender.frame(value[at : at + 4]) for at in range(0, 24, 4)]
    receiver.take(frames[0])
    with pytest.raises(DataError, match="frame 1, which was lost"):
        receiver.take(frames[2])
    again = receiver.take(frames[3])
    assert (np.abs(again - value[12:16]) <= np.array(CODE.bound) + 1e-9).all()
    assert receiver.lost == 2
    assert len(receiver.take(frames[4])) == 4


def test_a_frame_comes_once_and_a_restarted_gateway_is_heard() -> None:
    sender, receiver = ends(full_every=2)
    first, second = sender.frame(walk(3)), sender.frame(walk(3))
    receiver.take(first)
    receiver.take(second)
    with pytest.raises(DataError, match="came after frame 1"):
        receiver.take(second)
    assert len(receiver.take(ends()[0].frame(walk(2)))) == 2
    assert receiver.lost == 0


def test_both_ends_need_the_same_code() -> None:
    other = msgspec.structs.replace(CODE, bound=(0.5, 0.2))
    with pytest.raises(DataError, match="another code"):
        Receiver(other, decode).take(ends()[0].frame(walk(4)))


@pytest.mark.parametrize("value", [np.ones((2, 3)), np.ones((0, 2)), np.full((1, 2), np.inf)])
def test_what_is_no_frame_is_refused(value: Floats) -> None:
    with pytest.raises(DataError):
        ends()[0].frame(value)


def test_a_code_goes_through_a_file_and_is_checked() -> None:
    assert Code.from_bytes(CODE.to_bytes()) == CODE
    with pytest.raises(ModelError):
        Code.from_bytes(b"\x80")
    with pytest.raises(ModelError, match="above 0"):
        msgspec.structs.replace(CODE, bound=(0.5, 0.0))
    with pytest.raises(ModelError, match="add up"):
        msgspec.structs.replace(CODE, changes=((1, 1), (2048, 2048)))


def test_symbols_of_rows_stand_in_the_order_they_are_written() -> None:
    rows = [Row((1,), (0, None)), Row(None, (40, 0))]
    found = [(table, stream, before) for table, stream, before, _ in symbols(CODE, rows)]
    assert found == [
        ("changes", 0, 0), ("latents", 0, 0), ("residuals", 0, 0), ("residuals", 1, 0),
        ("changes", 0, 1), ("residuals", 0, 0), ("residuals", 1, 2),
    ]  # fmt: skip
