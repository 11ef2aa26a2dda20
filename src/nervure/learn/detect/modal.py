"""What a structure swings at, how fast it dies down and in which shape, from ambient vibrations alone.

Two ways to the same: frequency-domain decomposition, quick and blind to damping (Brincker, Zhang &
Andersen, Smart Materials and Structures 10, 2001), and covariance-driven stochastic subspace
identification, which has all three (Peeters & De Roeck, MSSP 13(6), 1999). What is found again later is
told by shape and frequency together, so that modes keep their names while stiffness is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["Mode", "decomposed", "follow", "mac", "subspace"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_DAMPED = 0.2  # a pole damped more is no mode of a structure
_APART = 0.01  # poles of several orders this near in frequency are one
_ALIKE = 0.9  # and of shapes as alike as this


class Mode(NamedTuple):
    """A mode: ``hz``, ``damping`` as a share of critical (NaN where not told), ``shape [channel]``.

    The shape's largest component is 1.
    """

    hz: float
    damping: float
    shape: Floats


def mac(one: Floats, other: Floats) -> float:
    """Return the modal assurance criterion of two shapes ``[channel]``, 1 where they are alike.

    Source: Allemang & Brown, IMAC, 1982.

    >>> mac(np.array([1.0, 2.0]), np.array([-2.0, -4.0]))
    1.0
    """
    return float(np.dot(one, other) ** 2 / (np.dot(one, one) * np.dot(other, other)))


def decomposed(value: Floats, hz: float, *, count: int = 3, length: int = 1024) -> tuple[Mode, ...]:
    """Find modes of accelerations ``value [row, channel]`` where their spectra's first singular value peaks.

    ``hz`` is the sampling rate, ``length`` the rows of a Welch segment: modes nearer than 4 hz / length
    are not told apart, and frequencies are interpolated between its lines. Raises ``DataError`` where
    there are fewer rows than two segments.
    """
    spectra = _cross_spectra(value, length)
    axes, strength, _ = np.linalg.svd(spectra)
    level = np.log(strength[:, 0] + 1e-300)
    inside = np.arange(2, len(level) - 2)
    # a peak stands above its neighbourhood, and not only above its two neighbours
    peaks = inside[[level[at] == level[at - 2 : at + 3].max() for at in inside]]
    around = max(8, length // 32)
    height = [level[at] - np.median(level[max(0, at - around) : at + around + 1]) for at in peaks]
    best = sorted(peaks[np.argsort(height)[::-1][:count]].tolist())
    return tuple(Mode(_vertex(level, at) * hz / length, float("nan"), _real(axes[at, :, 0])) for at in best)


def _cross_spectra(value: Floats, length: int) -> Complexes:
    """Return Welch's cross spectra ``[line, channel, channel]`` of Hann windows half over each other."""
    starts = range(0, len(value) - length + 1, length // 2)
    if len(starts) < 3:
        raise DataError(f"{len(value)} rows are no two segments of {length}", hint="take a shorter length")
    near = value - value.mean(axis=0)
    taper = np.hanning(length)[:, None]
    lines = np.stack([np.fft.rfft(near[start : start + length] * taper, axis=0) for start in starts])
    found: Complexes = np.einsum("sfi,sfj->fij", lines, lines.conj()) / len(starts)
    return found


def _vertex(level: Floats, at: int) -> float:
    """Return the vertex of the parabola through a peak and its neighbours, in lines."""
    before, here, after = level[at - 1 : at + 2]
    bend = before - 2 * here + after
    return at + (0.5 * float((before - after) / bend) if bend < 0 else 0.0)


def _real(shape: Complexes) -> Floats:
    """Turn a complex shape into the real one nearest to it, its largest component 1."""
    turn = np.exp(-0.5j * np.angle(np.sum(shape**2)))
    real: Floats = (shape * turn).real
    unit: Floats = real / real[np.abs(real).argmax()]
    return unit


def subspace(
    value: Floats, hz: float, *, count: int = 3, lags: int = 40, orders: Sequence[int] = range(6, 25, 2)
) -> tuple[Mode, ...]:
    """Find modes of accelerations ``value [row, channel]`` by covariance-driven subspace identification.

    ``lags`` is how many rows of covariance are used, two or more periods of the lowest mode at best.
    Poles that come again over ``orders`` of the model, the same in frequency and shape, are modes; the
    ``count`` that come most often are returned, slowest first, each the median of its poles. Fewer
    come back where fewer are stable. Raises ``DataError`` for records too short for the lags.
    """
    rows, channels = value.shape
    if rows < 10 * lags:
        raise DataError(f"{rows} rows are too few for {lags} lags", hint="take longer records or fewer lags")
    near = value - value.mean(axis=0)
    scale = near.std(axis=0)
    if not (scale > 0).all():
        raise DataError("a channel stands still: there is no mode to find in it", hint="leave it out")
    near = near / scale
    covariance = [near[lag:].T @ near[: rows - lag] / (rows - lag) for lag in range(1, 2 * lags)]
    hankel = np.block([[covariance[row + column] for column in range(lags)] for row in range(lags)])
    axes, strength, _ = np.linalg.svd(hankel)
    poles: list[Mode] = []
    for order in orders:
        if order <= min(len(strength), (lags - 1) * channels):
            poles += _poles(axes[:, :order] * np.sqrt(strength[:order]), channels, hz, scale)
    return _stable(poles, count)


def _poles(observed: Floats, channels: int, hz: float, scale: Floats) -> list[Mode]:
    """Return the modes of one order's model, from its observability ``[lag * channel, order]``."""
    step = np.linalg.lstsq(observed[:-channels], observed[channels:], rcond=None)[0]
    value, vector = np.linalg.eig(step)
    found = []
    for at in np.flatnonzero(value.imag > 0):
        rate = np.log(value[at]) * hz
        damping = float(-rate.real / abs(rate))
        if 0 < damping < _DAMPED:
            shape = _real((observed[:channels] @ vector[:, at]) * scale)
            found.append(Mode(float(abs(rate)) / (2 * np.pi), damping, shape))
    return found


def _stable(poles: list[Mode], count: int) -> tuple[Mode, ...]:
    """Gather poles that are alike, and keep the ``count`` largest gatherings."""
    groups: list[list[Mode]] = []
    for pole in poles:
        for group in groups:
            last = group[-1]
            if abs(pole.hz / last.hz - 1) < _APART and mac(pole.shape, last.shape) > _ALIKE:
                group.append(pole)
                break
        else:
            groups.append([pole])
    kept = sorted(groups, key=len, reverse=True)[:count]
    kept = [group for group in kept if len(group) > 1]
    modes = [
        Mode(
            float(np.median([one.hz for one in group])),
            float(np.median([one.damping for one in group])),
            group[-1].shape,
        )
        for group in kept
    ]
    return tuple(sorted(modes, key=lambda one: one.hz))


def follow(known: Sequence[Mode], found: Sequence[Mode], *, alike: float = 0.8, apart: float = 0.3) -> Floats:
    """Return for each known mode what it is now: ``[mode, (hz, damping, MAC)]``, NaN where it is lost.

    A mode is followed to the one whose shape is most alike, at least ``alike``, of those within
    ``apart`` of its frequency. Several known modes may not be followed to the same one.

    >>> mode = Mode(2.0, 0.01, np.array([0.5, 1.0]))
    >>> follow([mode], [mode._replace(hz=1.9)]).round(2).tolist()
    [[1.9, 0.01, 1.0]]
    """
    out = np.full((len(known), 3), np.nan)
    pairs = [
        (mac(one.shape, other.shape), row, place)
        for row, one in enumerate(known)
        for place, other in enumerate(found)
        if abs(other.hz / one.hz - 1) <= apart
    ]
    taken: set[int] = set()
    for likeness, row, place in sorted(pairs, reverse=True):
        if likeness >= alike and np.isnan(out[row, 0]) and place not in taken:
            out[row] = found[place].hz, found[place].damping, likeness
            taken.add(place)
    return out
