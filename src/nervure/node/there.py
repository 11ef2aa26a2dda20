"""How a loop stands at its device, and by whose time it is judged.

A device whose time is simulated (``simulated`` of its declaration) has a clock that is not ours, and may go
a hundred times as fast. The platform judges it in the device's time, as far as it was told of it: by the
guard's newest report, or by the newest reading of an input, whichever is later. Whatever is about people
(who has the watch, which mode since when) stays in ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from nervure.act import array, track
from nervure.act.standing import Standing
from nervure.core.command import AHEAD_NS, Known, Proposal, moved
from nervure.core.instant import SECOND_NS
from nervure.core.interlock import Declared, Value
from nervure.core.order import Report

__all__ = ["by_its_time", "informed", "reported"]


def reported(standing: Standing, read: Declared, report: Report, at_ns: int) -> Standing:
    """Return how a loop stands with what its guard reports, which the log had at ``at_ns``."""
    if read.simulated:
        at_ns = report.clock_ns
    known = standing.known
    again = read.simulated and at_ns < known.now_ns - AHEAD_NS  # a simulation that begins anew
    if not known.held or known.now_ns == 0 or again:
        known = track.began(read, report.values, at_ns)
    known = track.applied(track.at(known, at_ns), read, report.values)
    known = replace(known, trips=report.trips, pending={})  # whether it had an effect is seen there
    slots = tuple(
        array.Entry(
            slot=one.slot, values=one.values, by="person" if one.by == "person" else "model",
            actor=one.actor, id=one.id,
            until_ns=None if one.left_s is None else at_ns + round(one.left_s * SECOND_NS),
        )
        for one in report.slots
    )  # fmt: skip
    return replace(standing, known=known, slots=slots)


def informed(
    known: Known, read: Declared, readings: Mapping[str, tuple[Value, int]], now_ns: int
) -> Known:  # fmt: skip
    """Return what is known now with the newest readings of its inputs."""
    if read.simulated:
        now_ns = max([known.now_ns, *(when for _, when in readings.values())])
    return track.sensed(track.at(known, now_ns), read, readings)


def by_its_time(proposal: Proposal, read: Declared, known: Known) -> Proposal:
    """Return a proposal by the time of its device: what waits here grows older by our clock alone."""
    return moved(proposal, known.now_ns, known.now_ns) if read.simulated else proposal
