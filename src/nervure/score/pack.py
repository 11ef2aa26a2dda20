"""Packs: a forecast as the one message that carries it into the log."""

from __future__ import annotations

import msgspec

from nervure.core.instant import SECOND_NS, iso

__all__ = ["Pack"]


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """One forecast: the medians ``v`` of the slots to come, each between ``low`` and ``high``.

    ``datastream`` is the one that forecasts are stored in, ``issued_ns`` the time of the reading
    they were made with, ``t0_ns`` the first slot foreseen and ``dt_ns`` the step. ``once`` names
    the forecast, so that the log keeps it once however often it is sent.

    >>> Pack(datastream=9, issued_ns=0, t0_ns=10**9, dt_ns=10**9, v=[1.5], low=[1.0], high=[2.0],
    ...      once="f.1.9.0").encode()[:60]
    b'{"t0":"1970-01-01T00:00:01Z","dt":1.0,"v":[1.5],"low":[1.0],'
    """

    datastream: int
    issued_ns: int
    t0_ns: int
    dt_ns: int
    v: list[float]
    low: list[float]
    high: list[float]
    once: str

    def encode(self) -> bytes:
        """Return the message as JSON."""
        return msgspec.json.encode(
            {
                "t0": iso(self.t0_ns),
                "dt": self.dt_ns / SECOND_NS,
                "v": self.v,
                "low": self.low,
                "high": self.high,
                "resultTime": iso(self.issued_ns),
            }
        )
