"""Calibration of a shear building: stiffness of storeys and damping, from how floors follow the ground.

Output error in the time domain (Ljung, System Identification, 1999, chapter 7): the ground's measured motion
goes through the model, and least squares take what floors are off by. Masses are told: motion alone tells
stiffness beside mass. It begins with all storeys alike and much damping, as then more than the true frequency
draws the search to itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError

if TYPE_CHECKING:
    from nervure.twin.structure import Frame, Structure

__all__ = ["Shaken", "Storeys", "fit_shaking", "fit_storeys", "framed", "respond"]

Floats = NDArray[np.float64]
_HELD = 1 / 3
_FEWEST_S, _SETTLES_S = 60.0, 10.0
_GLOBAL = np.geomspace(0.05, 20.0, 150)
_BROAD = 0.1  # of critical, while it looks for about the right frequency
_APART = float(np.log(4.0))  # a storey's stiffness from that of all
_DAMPING = (1e-3, 0.3)


class Shaken(NamedTuple):
    """One record: the ground's acceleration ``[time]`` and floors' ``[time, floor]`` in m/s2, from rest."""

    ground: Floats
    floors: Floats


class Storeys(NamedTuple):
    """What was found: factors on each storey's stiffness, and damping as a share of critical."""

    stiffness: Floats
    damping: float


def respond(frame: Frame, ground: Floats, step_s: float) -> Floats:
    """Return the acceleration of floors in m/s2, ``[time, floor]``, from rest, as the ground moves.

    The exact step of each mode for ground motion that is linear between samples, written as a filter.
    """
    from scipy.signal import lfilter

    from nervure.twin.structure import exact_step, modes

    found = modes(frame)
    push = -(found.shape.T @ frame.mass @ frame.ground)
    a, b, c = exact_step(found, step_s)
    out = np.repeat(ground[:, None], found.shape.shape[0], axis=1)
    for at, (omega, damp) in enumerate(zip(found.omega, found.damping, strict=True)):
        read = np.array([-(omega**2), -2 * damp * omega])
        own, come = a[..., at], a[..., at] @ c[:, at] + b[:, at]
        trace, rest, through = np.trace(own), np.linalg.det(own), 1 + read @ c[:, at]
        numerator = [
            through, read @ come - through * trace, read @ (own - trace * np.eye(2)) @ come + through * rest,
        ]  # fmt: skip
        out += np.outer(lfilter(numerator, [1.0, -trace, rest], push[at] * ground), found.shape[:, at])
    return out


def fit_storeys(records: Sequence[Shaken], step_s: float, *, skip: int = 0) -> Storeys:
    """Fit a shear building of the twin's masses to records; the first ``skip`` samples do not count."""
    from scipy.optimize import least_squares

    storeys = records[0].floors.shape[1]

    def wrong(x: Floats) -> Floats:
        frame = framed(Storeys(np.exp(x[:-1]), float(np.exp(x[-1]))))
        off = [(respond(frame, one.ground, step_s) - one.floors)[skip:] for one in records]
        return np.concatenate([np.where(np.isfinite(one), one, 0.0).reshape(-1) for one in off])

    alike = [np.append(np.full(storeys, np.log(one)), np.log(_BROAD)) for one in _GLOBAL]
    begin = min(alike, key=lambda x: float((wrong(x) ** 2).sum()))
    low, high = begin - _APART, begin + _APART
    low[-1], high[-1] = np.log(_DAMPING)
    scale = np.append(np.full(storeys, 0.1), 0.5)
    fit = least_squares(wrong, begin, bounds=(low, high), x_scale=scale, max_nfev=60, xtol=1e-5)
    return Storeys(np.exp(fit.x[:-1]), float(np.exp(fit.x[-1])))


def framed(found: Storeys) -> Frame:
    """Return the building of what was found."""
    from nervure.twin.structure import STIFFNESS_N_M, shear_building

    return shear_building(
        len(found.stiffness), stiffness_n_m=found.stiffness * STIFFNESS_N_M, damping=found.damping
    )


def fit_shaking(twin: Structure, observed: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Fit the twin to a minute or more of ``ground/acceleration`` and of every floor's; start anew so.

    The first two thirds decide, after ten seconds in which what was before dies away. Returns
    ``stiffness/STOREY`` as factors, ``damping``, and by how much floors are off in the last third, as a share
    of their root mean square, ``uncalibrated`` too. Raises TwinError where something is not there.
    """
    from nervure.twin.structure import STEP_S

    names = [one.name for one in twin.describe().sensors]
    if lacking := [one for one in names if one not in observed]:
        raise TwinError(f"calibrating needs {lacking[0]}", hint=f"give {', '.join(names)}")
    if len({len(observed[one]) for one in names}) > 1:
        raise TwinError("sensors have different numbers of steps", hint="give as many of each")
    floors = np.array([observed[one] for one in names if one != "ground/acceleration"], np.float64).T
    ground = np.array(observed["ground/acceleration"], np.float64)
    if len(ground) * STEP_S < _FEWEST_S or not np.isfinite(ground).all():
        raise TwinError(
            f"{np.isfinite(ground).sum()} steps of ground/acceleration are too few, or some are missing",
            hint=f"give {_FEWEST_S:g} s at least, {1 / STEP_S:g} a second",
        )
    cut = round(len(ground) * (1 - _HELD))
    found = fit_storeys([Shaken(ground[:cut], floors[:cut])], STEP_S, skip=round(_SETTLES_S / STEP_S))
    own = {f"stiffness/{at + 1}": float(one) for at, one in enumerate(found.stiffness)}
    own["damping"] = found.damping
    share = {
        name: _share((respond(frame, ground, STEP_S) - floors)[cut:], floors[cut:])
        for name, frame in (
            ("held_out_share", framed(found)),
            ("uncalibrated_held_out_share", twin.frame(0.0)),
        )
    }
    twin.reset(scenario=own)
    return own | share


def _share(off: Floats, seen: Floats) -> float:
    return float(np.sqrt(np.nanmean(off**2) / max(float(np.nanmean(seen**2)), 1e-18)))
