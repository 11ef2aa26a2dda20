"""Envelope-order pictures of vibrations: what beats at which multiple of a bearing's own fault rates.

A fault hits at a rate that the bearing's geometry and the speed tell, and rings in a band that nobody
knows. So the envelope's spectrum is taken in several carrier bands, its axis counted in turns of the
shaft, and of it the surroundings of each fault's first harmonics are kept (Randall & Antoni, MSSP
25(2), 2011). Speed and kind of bearing are thereby taken out: the middle of a zone is a fault.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, median_filter

from nervure.core.error import DataError

__all__ = [
    "BANDS", "DRIVE_END", "FAN_END", "HARMONICS", "OFFSETS", "Geometry", "order_names", "order_picture",
    "whitened",
]  # fmt: skip

Floats = NDArray[np.float64]

BANDS = ((0.02, 0.5), (0.02, 0.125), (0.125, 0.25), (0.25, 0.375), (0.375, 0.5))  # cycles a reading
HARMONICS = 3
OFFSETS: Floats = np.linspace(
    -1.5, 1.5, 61
)  # turns of the shaft from the fault's order: sidebands are inside


class Geometry(NamedTuple):
    """How often a fault hits in one turn of the shaft: inner race, outer race, ball (both races)."""

    inner: float
    outer: float
    ball: float


DRIVE_END = Geometry(inner=5.4152, outer=3.5848, ball=4.7135)  # SKF 6205-2RS, CWRU Bearing Data Center
FAN_END = Geometry(inner=4.9469, outer=3.0530, ball=3.9874)  # SKF 6203-2RS, the same


def order_names() -> tuple[str, ...]:
    """Return what each row of :func:`order_picture` stands for, such as ``"outer x2 -1.00"``."""
    return tuple(
        f"{part} x{turn} {offset:+.2f}"
        for part in Geometry._fields
        for turn in range(1, HARMONICS + 1)
        for offset in OFFSETS
    )


def whitened(signal: Floats, *, width: float = 1 / 400) -> Floats:
    """Divide a signal ``[row]`` by its own smoothed spectrum, so that no resonance drowns the others.

    ``width`` is how wide the smoothing is, a share of the spectrum (Sawalhi & Randall's pre-whitening,
    by frequency).
    """
    lines = np.fft.rfft(signal - signal.mean())
    size = max(1, round(len(signal) * width))
    level = np.convolve(np.abs(lines) ** 2, np.ones(size) / size, "same")
    return np.fft.irfft(lines / np.sqrt(level + 1e-20), len(signal))


def order_picture(
    signal: Floats, turns: float, geometry: Geometry, *, bands: tuple[tuple[float, float], ...] = BANDS
) -> NDArray[np.float32]:
    """Return the picture ``[zone and offset, band]`` of a window ``signal [row]``; see :func:`order_names`.

    ``turns`` is how often the shaft turns from one row to the next. A cell is the natural log of the
    strongest line of the envelope's spectrum near its order, over the median within half an order
    either side; near is wider at higher orders, since rolling elements slip. Raises ``DataError``
    where the window has fewer than 20 turns, which do not tell the orders apart.
    """
    if len(signal) * turns < 20:
        raise DataError(
            f"{len(signal) * turns:.1f} turns do not tell orders apart",
            hint="take windows of 20 turns or more",
        )
    flat, out = whitened(signal), []
    lines, rate = np.fft.fft(flat), np.fft.fftfreq(len(flat))
    step = 1 / (len(flat) * turns)  # orders from line to line
    for low, high in bands:
        analytic = np.fft.ifft(np.where((rate >= low) & (rate < high), 2 * lines, 0.0))
        amplitude = np.abs(analytic)
        beat = np.abs(np.fft.rfft((amplitude - amplitude.mean()) * np.hanning(len(amplitude))))
        top = HARMONICS * max(geometry) + OFFSETS[-1] + 1
        level = np.log(beat[: int(top / step) + 1] + 1e-12)
        level -= median_filter(level, size=max(3, int(1 / step)))
        out.append(_zones(level, step, geometry))
    return np.stack(out, axis=1).astype(np.float32)


def _zones(level: Floats, step: float, geometry: Geometry) -> Floats:
    """Read the levels near each order of each zone, ``[zone and offset]``."""
    found = []
    for rate in geometry:
        for turn in range(1, HARMONICS + 1):
            near = 0.025 + 0.003 * turn * rate
            strongest = maximum_filter1d(level, size=max(1, int(2 * near / step)))
            place = np.round((turn * rate + OFFSETS) / step).astype(np.int64)
            found.append(strongest[np.clip(place, 0, len(level) - 1)])
    return np.concatenate(found)
