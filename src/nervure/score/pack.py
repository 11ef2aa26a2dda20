"""Packs: a forecast, or an answer, as the one message that carries it into the log."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import SECOND_NS, iso

__all__ = ["Pack", "Word", "forecasts", "short"]

_DIGITS = 6


class Pack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One forecast of a stream: the medians of the slots to come, each with its interval.

    ``datastream`` is the one that forecasts are stored in, ``issued_ns`` the time of the reading
    they were made with, ``t0_ns`` the first slot foreseen and ``dt_ns`` the step. ``once`` names
    the forecast, so that the log keeps it once however often it is sent. ``band`` holds float64
    ``[3, horizon]``: median, low, high; as bytes it costs nothing until it is sent.

    >>> Pack(datastream=9, issued_ns=0, t0_ns=10**9, dt_ns=10**9, once="1.9.0",
    ...      band=np.array([[1.5], [1.0], [2.0]]).tobytes()).encode()[:60]
    b'{"t0":"1970-01-01T00:00:01Z","dt":1.0,"v":[1.5],"low":[1.0],'
    """

    datastream: int
    issued_ns: int
    t0_ns: int
    dt_ns: int
    once: str
    band: bytes

    def _values(self) -> NDArray[np.float64]:
        return np.frombuffer(self.band, dtype=np.float64).reshape(3, -1)

    @property
    def v(self) -> list[float]:
        """The medians."""
        values: list[float] = self._values()[0].tolist()
        return values

    @property
    def low(self) -> list[float]:
        """The lower ends of the intervals."""
        values: list[float] = self._values()[1].tolist()
        return values

    @property
    def high(self) -> list[float]:
        """The upper ends of the intervals."""
        values: list[float] = self._values()[2].tolist()
        return values

    def encode(self) -> bytes:
        """Return the message as JSON."""
        v, low, high = self._values().tolist()
        return msgspec.json.encode(
            {
                "t0": iso(self.t0_ns),
                "dt": self.dt_ns / SECOND_NS,
                "v": v,
                "low": low,
                "high": high,
                "resultTime": iso(self.issued_ns),
            }
        )


class Word(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer that is a word: the likeliest class, what it is about, and when it was told.

    >>> Word(datastream=9, time_ns=0, issued_ns=10**9, once="1.9.0", text="fall").encode()[:16]
    b'{"result":"fall"'
    """

    datastream: int
    time_ns: int
    issued_ns: int
    once: str
    text: str

    def encode(self) -> bytes:
        """Return the message as JSON."""
        return msgspec.json.encode(
            {
                "result": self.text,
                "phenomenonTime": iso(self.time_ns),
                "resultTime": iso(self.issued_ns),
            }
        )


def short(band: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round forecasts ``[row, horizon, 3]`` to six digits of each row's largest: messages halve."""
    size = np.abs(band).max(axis=(1, 2), keepdims=True, initial=1e-9)
    factor = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
    found: NDArray[np.float64] = np.rint(band * factor) / factor
    return found


def forecasts(
    outlet: NDArray[np.int64], time: NDArray[np.int64], band: NDArray[np.float64], every_ns: int, version: str
) -> list[Pack]:
    """Put forecasts ``band [row, horizon, 3]`` into the messages that publish them.

    ``outlet [row]`` is the Datastream that each is stored in, and 0 where nobody stores it; ``time [row]``
    that of the reading it was made with, by which version of a model.
    """
    kept = np.flatnonzero(outlet)
    if not len(kept):
        return []
    told = np.ascontiguousarray(short(band[kept]).transpose(0, 2, 1))
    return [
        Pack(
            datastream=stream,
            issued_ns=moment,
            t0_ns=(moment // every_ns + 1) * every_ns,
            dt_ns=every_ns,
            once=f"{version}.{stream}.{moment}",
            band=told[row].tobytes(),
        )
        for row, (stream, moment) in enumerate(zip(outlet[kept].tolist(), time[kept].tolist(), strict=True))
    ]
