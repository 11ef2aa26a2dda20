"""What was seen of an alarm, put into words: one way of doing it for files, histories and the live stream."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.event import Event
from nervure.core.evidence import Alarm, Share, sentence, sign_of
from nervure.core.instant import iso
from nervure.core.monitor import Reading, Setup, blame, combine

__all__ = ["BEFORE", "LONGEST", "Witness", "alarm_of"]

Floats = NDArray[np.float64]

BEFORE = 200  # rows before an alarm that tell how a stream moves when it is well
LONGEST = 400  # rows of an alarm that are looked at for its reasons
_AROUND = 12  # rows before its worst that tell how a stream is odd
_SHOWN = 5  # streams that an alarm names


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of an alarm: from its first to its last above the limit, the first ``LONGEST`` of them.

    ``value [row, stream]`` is what was read and ``reading [row]`` what the detectors said of it;
    ``before [row, stream]`` is what was read before, ``limit`` that at the first row, in decades.
    """

    value: Floats
    reading: Reading
    before: Floats
    limit: float


def alarm_of(setup: Setup, thing: str, event: Event, seen: Witness) -> Alarm:
    """Say which streams made an alarm, what they should have read, how they are odd, what to do first."""
    shares, expected = blame(setup, seen.reading)
    worst = int(np.argmax(np.nan_to_num(combine(seen.reading.rarity), nan=-1.0)))
    order = np.argsort(-shares)[:_SHOWN]
    top = int(order[0])
    apart = np.abs(seen.value[: worst + 1, top] - expected[: worst + 1, top])
    shown = int(np.nanargmax(apart)) if np.isfinite(apart).any() else worst
    streams = tuple(
        _share(setup, int(one), float(shares[one]), seen.value[shown], expected[shown]) for one in order
    )
    sign = sign_of(
        seen.value[max(0, shown - _AROUND) : max(shown, worst) + 1, top], seen.before[:, top],
        float(expected[shown, top]), float(np.nan_to_num(seen.value[shown, top])),
    )  # fmt: skip
    once = setup.every_ns / 1e9 * 10.0 ** min(event.peak, 300.0)
    says, do = sentence(
        thing, event.start_ns, sign, streams, once, setup.every_ns / 1e9 * setup.plan.tail.seen
    )
    return Alarm(
        thing=thing, start=iso(event.start_ns), raised=iso(event.raised_ns), end=iso(event.end_ns),
        worst=iso(event.worst_ns or event.raised_ns), rarity=round(event.peak, 3), limit=round(seen.limit, 3),
        once_s=once, sign=sign, streams=streams, says=says, do=do,
    )  # fmt: skip


def _share(setup: Setup, one: int, share: float, value: Floats, expected: Floats) -> Share:
    read, wanted = float(value[one]), float(expected[one])
    known, usual = np.isfinite(read), setup.usual[one]
    return Share(
        stream=setup.streams[one],
        share=round(share, 4),
        value=read if known else None,
        expected=wanted if np.isfinite(wanted) else None,
        deviations=round(abs(read - wanted) / usual, 2) if known and usual > 0 else None,
    )
