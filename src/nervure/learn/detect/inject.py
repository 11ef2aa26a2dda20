"""Faults put into normal readings: so a score can be chosen, a limit tried, and a named sensor checked.

Nobody has labels of the faults that are to come. What can be had is normal data and a list of how
sensors and processes go wrong (Ni et al., Sensor network data fault types, ACM TOSN 5(3), 2009);
:func:`inject` makes such faults, each in one channel, and says where they are.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["FAULTS", "Fault", "FaultKind", "Injected", "inject", "scale_of"]

Floats = NDArray[np.float64]
FaultKind = Literal["spike", "shift", "drift", "stuck", "noise", "zero", "gain"]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
SIZES = (3.0, 6.0)  # in robust standard deviations of the channel


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a channel, in rows from ``start`` to before ``stop``; ``size`` in its deviations."""

    kind: FaultKind
    channel: int
    start: int
    stop: int
    size: float


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    """Readings with faults in them: ``value [row, channel]``, and where they are, in order of time."""

    value: Floats
    faults: tuple[Fault, ...]


def scale_of(value: Floats) -> Floats:
    """Return how much each channel usually varies, ``[channel]``: robust, and 0 where it never moved.

    It is the distance of the 84 % from the 16 % quantile, halved; where that is 0 the standard deviation.
    """
    if not len(value):
        raise DataError("there are no rows to see how much channels vary")
    filled = np.where(np.isnan(value).all(axis=0), 0.0, value)
    low, high = np.nanquantile(filled, [0.16, 0.84], axis=0)
    robust = (high - low) / 2
    found: Floats = np.where(robust > 0, robust, np.nanstd(filled, axis=0))
    return found


def inject(
    value: Floats,
    *,
    length: int,
    apart: int,
    seed: int = 0,
    kinds: tuple[FaultKind, ...] = FAULTS,
    scale: Floats | None = None,
    sizes: tuple[float, ...] = SIZES,
) -> Injected:
    """Put faults of about ``length`` rows into a copy, each ``apart`` rows or more from the next.

    Kinds, channels and sizes take turns in an order that ``seed`` shuffles, so every kind is there about
    as often. A channel that never moves gets none: nothing would be odd in its units.
    """
    random = np.random.default_rng(seed)
    scale = scale_of(value) if scale is None else scale
    alive = np.flatnonzero(scale > 0)
    if not len(alive):
        raise DataError("no channel ever moves, so no fault can be told", hint="watch a stream that varies")
    out = value.copy()
    faults: list[Fault] = []
    turns = [(kind, size) for kind in kinds for size in sizes]
    random.shuffle(turns)
    start = apart + int(random.integers(0, max(1, apart)))
    while start + 2 * length + apart <= len(value):
        kind, size = turns[len(faults) % len(turns)]
        channel = int(random.choice(alive))
        span = 1 if kind == "spike" else max(2, int(length * random.uniform(0.5, 2.0)))
        own = out[start : start + span, channel]
        own[:] = _broken(own.copy(), kind, size * scale[channel], random)
        faults.append(Fault(kind=kind, channel=channel, start=start, stop=start + span, size=size))
        start += span + apart + int(random.integers(0, max(1, apart // 4)))
    return Injected(value=out, faults=tuple(faults))


def _broken(own: Floats, kind: FaultKind, size: float, random: np.random.Generator) -> Floats:
    """Return what a channel reads while it is broken, ``[row]``; gaps stay gaps but for what is stuck."""
    sign = float(random.choice([-1.0, 1.0]))
    known = own[~np.isnan(own)]
    first = float(known[0]) if len(known) else 0.0
    match kind:
        case "spike" | "shift":
            return own + sign * size
        case "drift":
            return own + sign * size * np.linspace(0.1, 1.5, len(own))
        case "stuck":
            return np.full(len(own), first)
        case "noise":
            return own + random.normal(0.0, size, len(own))
        case "zero":
            return np.zeros(len(own))
        case "gain":
            middle = float(known.mean()) if len(known) else 0.0
            return middle + (own - middle) * (1 + size / 2) + sign * 0.3 * size
