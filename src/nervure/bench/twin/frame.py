"""Another's building: a concrete frame of finite elements, shaken by a hundred earthquakes, whole and damaged.

PEER STAR-Net's recordings (DIANA FEA, three storeys, two bays; github.com/lcl940610/PEER_STAR_NET): a share
of the stiffness of one storey's columns is gone. Its model is none of ours: beams bend in it, which they do
not in a shear building. Masses and the time step are not stated, so only ratios of stiffness mean something.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nervure.bench.twin.report import Goal, Part, goal
from nervure.twin.shake import Shaken, Storeys, fit_storeys, framed, respond

__all__ = ["FRAME", "frame_part"]

Floats = NDArray[np.float64]
FRAME = "shm/peer_rc_frame/rc_frame_dec4.npz"
_STEP_S = 0.02  # a guess: it only sets what 1 is
_TAUGHT, _HELD = range(1, 11), range(51, 61)  # earthquakes
_STATES = ("1_80%", "1_90%", "2_80%", "2_90%", "3_80%", "3_90%")
_NOISE = 0.05  # of each channel's root mean square


def frame_part(path: Path) -> tuple[list[Goal], Part]:
    """Fit a shear building to ten earthquakes of each state, and judge it on ten others."""
    with np.load(path) as file:
        every = {state: _records(file, state, _TAUGHT, noise=_NOISE) for state in ("Undamage", *_STATES)}
        held = {state: _records(file, state, _HELD) for state in ("Undamage", *_STATES)}
    found = {state: fit_storeys(records, _STEP_S) for state, records in every.items()}
    whole, rows = found["Undamage"], []
    right = 0
    for state, own in found.items():
        ratio = own.stiffness / whole.stiffness
        row: dict[str, float | str | None] = {
            "fitted": _share(own, held[state]),
            "fitted to it whole": _share(whole, held[state]) if own is not whole else None,
            "rigid": _rigid(held[state]),
        }
        row |= {f"storey {at + 1}": float(one) for at, one in enumerate(ratio) if own is not whole}
        if own is not whole:
            storey = int(state[0])
            right += int(ratio.argmin()) + 1 == storey
            rows.append((f"storey {storey}: {state[2:-1]} % of its columns' stiffness left", row))
        else:
            rows.append(("whole", row))
    worst = max(_share(own, held[state]) / _rigid(held[state]) for state, own in found.items())
    return [
        goal("frame of finite elements: damaged storey found, of 6", "≥", 6, right),
        goal("frame of finite elements: error on earthquakes held out beside a rigid building, worst", "≤", 0.5, worst),
    ], Part(title="A frame of finite elements", said=_SAID, rows=tuple(rows))  # fmt: skip


_SAID = (
    "A concrete frame of three storeys, by another's finite elements (PEER STAR-Net, simulated with DIANA; only read, as no licence"
    " is stated). A shear building with a stiffness a storey and one damping is fitted to ten earthquakes of each state, with 5 %"
    " of noise on every sensor, and judged on ten others without: what floors are off by, as a share of their root mean square, beside the one that was"
    " fitted before the damage and a building that does not give. Storeys: stiffness beside the whole frame's. A storey is softer by"
    " less than its columns are, as beams bend too and are whole: where it is comes out, how much does not."
)


def _records(
    file: dict[str, NDArray[np.int16]], state: str, motions: range, *, noise: float = 0.0
) -> list[Shaken]:
    """Read recordings in m/s2; columns are the ground and storeys 1 to 3."""
    rng, found = np.random.default_rng([motions.start, len(state)]), []
    for motion in motions:
        value = file[f"{state}|{motion}"] * float(file[f"{state}|{motion}|scale"]) / 1000
        value = value + noise * np.sqrt((value**2).mean(axis=0)) * rng.standard_normal(value.shape)
        found.append(Shaken(value[:, 0], value[:, 1:]))
    return found


def _share(own: Storeys, records: list[Shaken]) -> float:
    """Return the error of all floors as a share of their root mean square, over records alike."""
    frame = framed(own)
    return _off([respond(frame, one.ground, _STEP_S) - one.floors for one in records], records)


def _rigid(records: list[Shaken]) -> float:
    return _off([one.ground[:, None] - one.floors for one in records], records)


def _off(off: list[Floats], records: list[Shaken]) -> float:
    share = [(one**2).mean() / (seen.floors**2).mean() for one, seen in zip(off, records, strict=True)]
    return float(np.sqrt(np.mean(share)))
