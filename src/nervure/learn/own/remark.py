"""What a person should know of the readings that are learned from, before they trust what comes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import iso
from nervure.learn.own.ask import Asked
from nervure.learn.own.screen import rests_on_nought

__all__ = ["bounds", "coarse", "stuck"]

Floats = NDArray[np.float64]

_SHOWN = 3


def bounds(asked: Asked, table: Floats) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return what is possible at least and at most, and what to say of it: as asked, or 0 at least.

    Of ``table [slot, series]`` half of the series must touch 0: one that is stuck there tells nothing.
    """
    low, high = asked.low, asked.high
    known = table[~np.isnan(table)]
    if low is not None or not len(known) or known.min() != 0:
        return low, high, ()
    zeros = int((known == 0).sum())
    if rests_on_nought(known) and 2 * (table == 0).any(axis=0).sum() >= table.shape[1]:
        says = (
            f"{zeros:,} readings are 0 and none is below it: 0 is taken for the least that is possible, and"
            " a running node hides what is below. If there may be less, say --low and the least"
        )
        return 0.0, high, (says,)
    says = f"no reading is below 0, and {zeros:,} are 0: if less is impossible, say --low 0"
    return None, high, (says,)


def stuck(table: Floats, names: tuple[str, ...], first: int, every: int) -> tuple[str, ...]:
    """Say which series never move in the test part ``table [slot, series]``, which begins at ``first``."""
    some = ~np.isnan(table)
    least = np.where(some, table, np.inf).min(axis=0)
    most = np.where(some, table, -np.inf).max(axis=0)
    found = np.flatnonzero((some.sum(axis=0) > 1) & (least == most))
    if not len(found):
        return ()
    shown = ", ".join(f"{names[one]!r} ({least[one]:g})" for one in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    says = (
        f"{len(found):,} of {len(names):,} series always show the same in the test part, from"
        f" {iso(first * every)[:16]}: {shown}{more}. Errors on them say nothing of a sensor that works"
    )
    return (says,)


def coarse(table: Floats, names: tuple[str, ...]) -> tuple[str, ...]:
    """Say which series are so far from 0 that the numbers models reckon with cannot tell their steps."""
    found = []
    for place, name in enumerate(names):
        own = table[~np.isnan(table[:, place]), place]
        step = np.abs(np.diff(own))
        step = step[step > 0]
        if not len(step):
            continue
        grain, usual = float(np.spacing(np.float32(np.abs(own).max()))), float(np.median(step))
        if grain > usual / 10:
            found.append((name, float(np.abs(own).max()), usual, grain))
    if not found:
        return ()
    name, most, usual, grain = found[0]
    more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
    says = (
        f"{name!r}{more} reaches {most:,.10g} in steps of about {usual:.3g}, and models reckon in float32,"
        f" which tells only steps of {grain:g} there: foresee the difference from reading to reading"
        " (of a meter: the use in a step) instead"
    )
    return (says,)
