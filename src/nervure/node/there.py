"""By whose time a loop is judged.

A device whose time is simulated (``simulated`` of its declaration) has a clock that is not ours, and may go
a hundred times as fast. The platform judges it in the device's time, as far as it was told of it: by the
guard's newest report, or by the newest reading of an input, whichever is later. Whatever is about people
(who has the watch, which mode since when) stays in ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from nervure.act import track
from nervure.core.command import Known, Proposal, moved
from nervure.core.interlock import Declared, Value

__all__ = ["by_its_time", "sensed"]


def sensed(
    known: Known, read: Declared, readings: Mapping[str, tuple[Value, int]], now_ns: int
) -> Known:  # fmt: skip
    """Return what is known now with the newest readings of its inputs."""
    if read.simulated:
        now_ns = max([known.now_ns, *(when for _, when in readings.values())])
    return track.sensed(track.at(known, now_ns), read, readings)


def by_its_time(proposal: Proposal, read: Declared, known: Known) -> Proposal:
    """Return a proposal by the time of its device: what waits here grows older by our clock alone."""
    return moved(proposal, known.now_ns, known.now_ns) if read.simulated else proposal
