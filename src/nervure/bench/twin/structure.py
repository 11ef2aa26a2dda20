"""``nervure evaluate structure``: many earthquakes at once, their drifts checked, and damage seen in the modes."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nervure.bench.twin.report import Part, Proof, goal
from nervure.learn.detect.modal import Mode, follow, subspace
from nervure.twin.structure import STEP_S, Frame, Structure, drifts, earthquakes, modes, shear_building

__all__ = ["prove"]

Floats = NDArray[np.float64]
STOREYS, SEGMENT_S, LEARNED = 6, 300.0, 20
LOSS = 0.3


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Time the scenarios, check drifts against scipy, and look for the damage."""
    begun = time.process_time()
    tell(0.0, "earthquakes")
    rate = _rate(100 if quick else 1000)
    tell(0.1, "drifts beside a fine integration")
    worst, checked = _checked(1 if quick else 12)
    found, quiet, moved = _tracked(tell, seeds=1 if quick else 4)
    return Proof(
        name="structure",
        title="Structure: what an earthquake does, and what damage does to the modes",
        command="nervure evaluate structure --json --out docs/report",
        said=_SAID,
        engine="modal superposition of a six-storey shear building, numpy",
        cpu_s=time.process_time() - begun,
        goals=(
            goal("earthquake scenarios a CPU-second", "≥", 150, rate, "1/s"),
            goal("drift beside the reference, worst", "≤", 10, 100 * worst, "%"),
            goal("losses of 30 % in one storey seen", "≥", 100, 100 * sum(found.values()) / len(found), "%"),
            goal("false alarms in undamaged segments", "≤", 1, 100 * sum(quiet) / len(quiet), "%"),
        ),
        parts=(
            Part(
                title="Drifts",
                said="The largest drift of each storey over an event, beside scipy's DOP853 on the equations of motion in"
                " floors (not modes) with steps of 2 ms at most.",
                rows=tuple((f"event {at + 1}", row) for at, row in enumerate(checked)),
            ),
            _damage(found, moved),
        ),
    )


_SAID = (
    "Six storeys of 200 t on springs of 250 MN/m, 3 % of damping. Events are 20 s of Kanai-Tajimi noise at 100 Hz, each"
    " with its own ground, scaled to 2 m/s2. All of it is linear: how far a frame yields is not in it."
)


def _damage(found: dict[tuple[int, int], bool], moved: dict[int, Floats]) -> Part:
    rows = []
    for storey in sorted(moved):
        own = [hit for (at, _), hit in found.items() if at == storey]
        row: dict[str, float | str | None] = {"runs": len(own), "seen": sum(own)}
        row |= {f"mode {at + 1}, %": 100 * float(one) for at, one in enumerate(moved[storey])}
        rows.append((f"storey {storey + 1}", row))
    return Part(
        title="Damage",
        said=f"{LOSS:.0%} of one storey's stiffness lost, seen in {SEGMENT_S:g} s of ambient shaking. Modes are found by"
        " covariance-driven subspace identification at 50 Hz and followed by their shapes; limits are six standard"
        f" deviations of {LEARNED} undamaged segments. Figures are by how much each frequency fell, the mean of runs.",
        rows=tuple(rows),
    )


def _rate(count: int) -> float:
    """Return scenarios a CPU-second: making the ground's motion and integrating it."""
    frame, begun = shear_building(STOREYS), time.process_time()
    drifts(frame, earthquakes(count, seed=1))
    return count / (time.process_time() - begun)


def _checked(count: int) -> tuple[float, list[dict[str, float | str | None]]]:
    """Return the worst relative difference of any storey's drift, and figures an event."""
    frame, ground = shear_building(STOREYS), earthquakes(count, seed=2)
    own = drifts(frame, ground)
    rows: list[dict[str, float | str | None]] = []
    worst = 0.0
    for event in range(count):
        true = _reference(frame, ground[:, event])
        off = float(np.abs(own[event] / true - 1).max())
        worst = max(worst, off)
        rows.append(
            {
                "largest drift, mm": 1000 * float(own[event].max()),
                "reference, mm": 1000 * float(true.max()),
                "off, %": 100 * off,
            }
        )
    return worst, rows


def _reference(frame: Frame, ground: Floats) -> Floats:
    """Integrate the equations of motion in floors, finely, and return the largest drift of every storey in m."""
    from scipy.integrate import solve_ivp

    omega = modes(frame).omega
    one, other = omega[0], omega[2]
    damp = 2 * frame.damping * (one * other * frame.mass + frame.stiffness) / (one + other)
    inverse, count = np.linalg.inv(frame.mass), len(frame.mass)
    time_s = np.arange(len(ground)) * STEP_S

    def motion(now: float, y: Floats) -> Floats:
        push = -np.interp(now, time_s, ground) * frame.ground
        bent = inverse @ (damp @ y[count:] + frame.stiffness @ y[:count])
        return np.concatenate([y[count:], push - bent])

    done = solve_ivp(
        motion,
        (0.0, time_s[-1]),
        np.zeros(2 * count),
        "DOP853",
        t_eval=time_s,
        max_step=0.002,
        rtol=1e-7,
        atol=1e-10,
    )
    floors = np.vstack([np.zeros(len(time_s)), done.y[:count]])
    most: Floats = np.abs(np.diff(floors, axis=0)).max(axis=1)
    return most


def _tracked(
    tell: Callable[[float, str], None], seeds: int
) -> tuple[dict[tuple[int, int], bool], list[bool], dict[int, Floats]]:
    """Return where a loss was seen by storey and seed, alarms of undamaged segments, and how modes moved."""
    learned = [_modes(1000 + at, None) for at in range(LEARNED)]
    known = max(learned, key=len)
    table = np.array([follow(known, one)[:, 0] for one in learned])
    centre, scatter = np.nanmedian(table, axis=0), np.nanstd(table, axis=0)
    limit = 6 * np.maximum(scatter, 0.002 * centre)

    def alarm(found: tuple[Mode, ...]) -> tuple[bool, Floats]:
        now = follow(known, found)[:, 0]
        fell: Floats = centre - now
        return bool((np.nan_to_num(fell, nan=0.0) > limit).any()), fell / centre

    quiet = [alarm(_modes(2000 + at, None))[0] for at in range(5 * seeds)]
    found: dict[tuple[int, int], bool] = {}
    moved: dict[int, Floats] = {}
    for storey in range(STOREYS):
        tell(0.3 + 0.7 * storey / STOREYS, f"damage in storey {storey + 1}")
        falls = []
        for seed in range(seeds):
            found[storey, seed], fell = alarm(_modes(3000 + 10 * storey + seed, storey))
            falls.append(fell)
        moved[storey] = np.nanmean(np.array(falls), axis=0)
    return found, quiet, moved


def _modes(seed: int, storey: int | None) -> tuple[Mode, ...]:
    """Return the modes found in a segment of ambient shaking, with a damaged storey or without."""
    twin = Structure(STOREYS)
    scenario = {"loss_storey": float(storey), "loss": LOSS} if storey is not None else {}
    twin.reset(seed=seed, scenario=scenario)
    rows = [list(twin.step().values())[:STOREYS] for _ in range(round(SEGMENT_S / STEP_S))]
    return subspace(np.array(rows)[::2], 0.5 / STEP_S, count=STOREYS)
