"""What claims of leaks are worth: found or not, how late, how far off, and what the Battle would pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.leak.network import Places
from nervure.learn.detect.leak.scenario import Scenario, Year
from nervure.learn.detect.leak.watch import Claim

__all__ = ["Matched", "Verdict", "judge", "match"]

Floats = NDArray[np.float64]
WITHIN_M = 300.0
_WATER_EUR, _CREW_EUR = 0.80, 500.0


class Matched(NamedTuple):
    """A leak that was claimed: which hole, the row of the claim, and how far off its place was, in m."""

    hole: int
    row: int
    off_m: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``f1`` of claims against holes; median delays in h; false claims a year; shares localised.

    An abrupt leak that is missed counts as late as it was open; of the incipient only those found count (NaN:
    none).

    ``again`` counts claims of a leak that was claimed before: they are wrong for ``f1``, but no false
    alarms. ``euro`` is the Battle's score.
    """

    f1: float
    found: int
    holes: int
    again: int
    false_a_year: float
    abrupt_delay_h: float
    incipient_delay_h: float
    localised_of_found: float
    localised_of_all: float
    euro: float
    matched: tuple[Matched, ...] = ()


def match(
    claims: Sequence[Claim], year: Year, spots: Places, *, by_place: bool
) -> tuple[list[Matched], int, int]:
    """Hold claims of new leaks against the holes; return those matched, claims made again, false claims.

    A claim is for the nearest hole that is open in its row; ``by_place`` it must be within 300 m of
    it, as in the Battle, where some leak always runs. A hole counts once, by its first claim.
    Claims count rows from the first watched one.
    """
    matched: dict[int, Matched] = {}
    again = false = 0
    for claim in claims:
        if claim.kind != "leak":
            continue
        row = claim.row + year.scenario.clean
        open_ = [
            (spots.distance(claim.place, hole.pipe, hole.share), at)
            for at, hole in enumerate(year.scenario.holes)
            if hole.start <= row < hole.stop
        ]
        near = [one for one in open_ if one[0] <= WITHIN_M] if by_place else open_
        fresh = [one for one in near if one[1] not in matched]
        if fresh and (by_place or min(near) == min(fresh)):
            off, at = min(fresh)
            matched[at] = Matched(at, row, off)
        elif near:
            again += 1
        else:
            false += 1
    return list(matched.values()), again, false


def judge(claims: Sequence[Claim], year: Year, spots: Places, *, by_place: bool) -> Verdict:
    """Judge the claims of a year; see :func:`match` and :class:`Verdict`."""
    matched, again, false = match(claims, year, spots, by_place=by_place)
    scenario = year.scenario
    hours = {one.hole: (one.row - scenario.holes[one.hole].start) * scenario.step_s / 3600 for one in matched}
    kinds = {
        kind: [at for at, hole in enumerate(scenario.holes) if hole.kind == kind]
        for kind in ("abrupt", "incipient")
    }
    abrupt = [hours.get(at, _open_h(scenario, at)) for at in kinds["abrupt"]]  # missed: as late as can be
    slow = [hours[at] for at in kinds["incipient"] if at in hours]
    close = sum(one.off_m <= WITHIN_M for one in matched)
    days = (scenario.rows - scenario.clean) * scenario.step_s / 86_400
    count, wrong = len(scenario.holes), again + false
    return Verdict(
        f1=2 * len(matched) / max(len(matched) + wrong + count, 1), found=len(matched), holes=count,
        again=again, false_a_year=false * 365 / days,
        abrupt_delay_h=float(np.median(abrupt)) if abrupt else float("nan"),
        incipient_delay_h=float(np.median(slow)) if slow else float("nan"),
        localised_of_found=close / len(matched) if matched else 0.0, localised_of_all=close / max(count, 1),
        euro=_euro(matched, wrong, year), matched=tuple(matched),
    )  # fmt: skip


def _open_h(scenario: Scenario, at: int) -> float:
    """Return for how long a hole is open, in h."""
    return (scenario.holes[at].stop - scenario.holes[at].start) * scenario.step_s / 3600


def _euro(matched: Sequence[Matched], wrong: int, year: Year) -> float:
    """Pay for water saved, less for a crew's way and for crews sent in vain (Vrachimis et al., 2022).

    Saved is what the hole lost from the claim on: 0.80 EUR a m3; a crew costs 500 EUR, or the share
    of it that its way is of 300 m.
    """
    hours = year.scenario.step_s / 3600
    paid = -_CREW_EUR * wrong
    for one in matched:
        if one.off_m > WITHIN_M:
            paid -= _CREW_EUR
            continue
        saved = float(year.lost[one.row :, one.hole].sum()) * hours
        paid += saved * _WATER_EUR - one.off_m / WITHIN_M * _CREW_EUR
    return paid
