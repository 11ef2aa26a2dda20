"""The twin of a building or a bridge that shakes: storeys or a beam as masses and springs.

A shear building has a mass a floor and a spring a storey; a beam has Euler-Bernoulli elements. Damping is
Rayleigh's. Earthquakes are made by the filtered noise of Kanai and Tajimi (Tajimi, Proc. 2nd WCEE, 1960)
under an envelope; many are integrated at a time by the exact step of each mode for ground motion that is
linear between samples (Nigam & Jennings, Bull. Seism. Soc. Am. 59(2), 1969). All of it is linear: nothing
yields, and nothing collapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given, pack, unpack

__all__ = [
    "STEP_S",
    "STIFFNESS_N_M",
    "Frame",
    "Modes",
    "Structure",
    "beam",
    "drifts",
    "earthquakes",
    "exact_step",
    "modes",
    "shear_building",
]

Floats = NDArray[np.float64]
STEP_S = 0.01
STIFFNESS_N_M = 2.5e8
_DAMPING = 0.03
_KNOWN = {
    "loss_storey": -1.0, "loss": 0.0, "loss_after_s": 0.0, "earthquake_after_s": -1.0, "peak_m_s2": 2.0,
    "ambient_m_s2": 0.02, "traffic_a_minute": 0.0, "noise_m_s2": 1e-4,
    "stiffness": 1.0, "damping": _DAMPING,
}  # fmt: skip
_ABOVE_0 = ("stiffness", "damping")


class Frame(NamedTuple):
    """Masses in kg and stiffness in N/m, ``[dof, dof]`` each; damping is a share of critical.

    ``ground`` is 1 where a mass is shaken along with the ground.
    """

    mass: Floats
    stiffness: Floats
    damping: float
    ground: Floats


class Modes(NamedTuple):
    """Modes: ``omega [mode]`` in rad/s, ``shape [dof, mode]`` with unit modal mass, ``damping [mode]``."""

    omega: Floats
    shape: Floats
    damping: Floats


def shear_building(
    storeys: int = 6, *, mass_kg: float = 2.0e5, stiffness_n_m: float | Floats = STIFFNESS_N_M,
    damping: float = _DAMPING,
    loss: Mapping[int, float] | None = None,
) -> Frame:  # fmt: skip
    """Return a building whose storeys only shear; ``loss`` is the share of stiffness lost by storey from 0.

    Stiffness is one for all storeys, or one each, ``[storey]``.

    >>> shear_building(2).stiffness.round(-7).tolist()
    [[500000000.0, -250000000.0], [-250000000.0, 250000000.0]]
    """
    spring = np.full(storeys, stiffness_n_m, np.float64)
    for storey, share in (loss or {}).items():
        if not 0 <= storey < storeys or not 0 <= share < 1:
            raise TwinError(f"storey {storey} of {storeys} cannot lose {share:g} of its stiffness")
        spring[storey] *= 1 - share
    k = np.diag(spring) + np.diag(np.append(spring[1:], 0.0))
    k -= np.diag(spring[1:], 1) + np.diag(spring[1:], -1)
    return Frame(np.eye(storeys) * mass_kg, k, damping, np.ones(storeys))


def beam(
    elements: int = 10, *, length_m: float = 30.0, bending_n_m2: float = 6.0e9, mass_kg_m: float = 8000.0,
    damping: float = 0.02, loss: Mapping[int, float] | None = None,
) -> Frame:  # fmt: skip
    """Return a simply supported beam of Euler-Bernoulli elements (Przemieniecki, 1968, chapters 5 and 11).

    Degrees of freedom are deflection and turn, node by node, without the deflections of the ends.
    """
    size = length_m / elements
    k, m = np.zeros((2, 2 * elements + 2, 2 * elements + 2))
    bend = np.array(
        [[12, 6, -12, 6], [6, 4, -6, 2], [-12, -6, 12, -6], [6, 2, -6, 4]], dtype=np.float64
    ) / size**3  # fmt: skip
    weigh = np.array(
        [[156, 22, 54, -13], [22, 4, 13, -3], [54, 13, 156, -22], [-13, -3, -22, 4]], dtype=np.float64
    ) * (mass_kg_m * size / 420)  # fmt: skip
    turn = np.array([1.0, size, 1.0, size])
    for at in range(elements):
        here = slice(2 * at, 2 * at + 4)
        share = 1 - (loss or {}).get(at, 0.0)
        k[here, here] += bend * np.outer(turn, turn) * bending_n_m2 * share
        m[here, here] += weigh * np.outer(turn, turn)
    free = np.array([at for at in range(2 * elements + 2) if at not in (0, 2 * elements)])
    ground = (free % 2 == 0).astype(np.float64)
    return Frame(m[np.ix_(free, free)], k[np.ix_(free, free)], damping, ground)


def modes(frame: Frame, count: int | None = None) -> Modes:
    """Return the lowest modes; damping is Rayleigh's, as given at the first and third mode."""
    root = np.linalg.inv(np.linalg.cholesky(frame.mass))
    value, vector = np.linalg.eigh(root @ frame.stiffness @ root.T)
    omega = np.sqrt(np.maximum(value, 0.0))[:count]
    one, other = omega[0], omega[min(2, len(omega) - 1)]
    alpha, beta = 2 * frame.damping * one * other / (one + other), 2 * frame.damping / (one + other)
    return Modes(omega, (root.T @ vector)[:, :count], alpha / (2 * omega) + beta * omega / 2)


def earthquakes(
    count: int, *, seconds: float = 20.0, peak_m_s2: float = 2.0, step_s: float = STEP_S, seed: int = 0
) -> Floats:
    """Return ground accelerations in m/s2, ``[time, event]``: Kanai-Tajimi noise, each scaled to its peak.

    The ground's own frequency is drawn between 1.5 and 4 Hz and its damping between 0.4 and 0.8.
    """
    rng = np.random.default_rng(seed)
    steps = round(seconds / step_s)
    ground, damp = 2 * np.pi * rng.uniform(1.5, 4.0, count), rng.uniform(0.4, 0.8, count)
    frequency = 2 * np.pi * np.fft.rfftfreq(steps, step_s)[:, None]
    way = 2 * damp * ground * frequency
    filtered = (ground**2 + 1j * way) / (ground**2 - frequency**2 + 1j * way)
    high = frequency**2 / (frequency**2 + (2 * np.pi * 0.1) ** 2)  # nothing drifts away
    noise = np.fft.irfft(
        np.fft.rfft(rng.standard_normal((steps, count)), axis=0) * filtered * high, steps, axis=0
    )
    time = np.linspace(0, 1, steps)[:, None]
    rise, fall = 0.1 + 0.1 * rng.random(count), 0.4 + 0.2 * rng.random(count)
    shape = np.minimum(time / rise, 1.0) ** 2 * np.where(time > fall, np.exp(-5 * (time - fall)), 1.0)
    shaken = noise * shape
    scaled: Floats = shaken / np.abs(shaken).max(axis=0) * peak_m_s2
    return scaled


def drifts(frame: Frame, ground: Floats, step_s: float = STEP_S, count: int | None = None) -> Floats:
    """Return the largest drift of every storey in m, ``[event, storey]``, of events ``ground [time, event]``.

    For frames whose degrees of freedom are floors from below. All events are stepped at once.
    """
    found = modes(frame, count)
    push = found.shape.T @ frame.mass @ frame.ground
    a, b, c = exact_step(found, step_s)
    state = np.zeros((2, len(found.omega), ground.shape[1]))
    to_drift = np.diff(np.vstack([np.zeros(len(found.omega)), found.shape]), axis=0)
    most = np.zeros((len(to_drift), ground.shape[1]))
    force = -push[:, None]
    for at in range(len(ground) - 1):
        now, later = force * ground[at], force * ground[at + 1]
        state = np.einsum("ijm,jme->ime", a, state) + b[..., None] * now + c[..., None] * later
        np.maximum(most, np.abs(to_drift @ state[0]), out=most)
    return most.T


def exact_step(found: Modes, step_s: float) -> tuple[Floats, Floats, Floats]:
    """Return each mode's exact step: state by state ``[2, 2, mode]``, forces at both ends ``[2, mode]``."""
    count = len(found.omega)
    a, b, c = np.zeros((2, 2, count)), np.zeros((2, count)), np.zeros((2, count))
    for at, (omega, damp) in enumerate(zip(found.omega, found.damping, strict=True)):
        matrix = np.zeros((4, 4))  # displacement, velocity, force, and how fast the force grows
        matrix[0, 1], matrix[1] = 1.0, (-(omega**2), -2 * damp * omega, 1.0, 0.0)
        matrix[2, 3] = 1.0
        done = _exponential(matrix * step_s)
        a[..., at] = done[:2, :2]
        slope = done[:2, 3] / step_s
        b[:, at], c[:, at] = done[:2, 2] - slope, slope
    return a, b, c


def _exponential(matrix: Floats) -> Floats:
    halvings = max(0, int(np.ceil(np.log2(max(np.abs(matrix).sum(axis=1).max(), 1e-9)))) + 4)
    small, out = matrix / 2**halvings, np.eye(len(matrix))
    term = np.eye(len(matrix))
    for power in range(1, 14):
        term = term @ small / power
        out = out + term
    for _ in range(halvings):
        out = out @ out
    return out


class Structure:
    """A shear building with an accelerometer a floor: ambient shaking, an earthquake, traffic, damage.

    A step is 0.01 s. Its one actuator is a tuned damper in the first mode, off without commands. Of the
    scenario, ``stiffness`` is a factor on all storeys', ``stiffness/2`` one more on the second's, ``damping``
    a share of critical.

    >>> Structure(storeys=3).describe().sensors[2].name
    'floor3/acceleration'
    """

    def __init__(self, storeys: int = 6) -> None:
        self._storeys = storeys
        self._known = _KNOWN | {f"stiffness/{at + 1}": 1.0 for at in range(storeys)}
        self._modes = modes(shear_building(storeys))
        damper = Actuator(
            name="damper/added", thing="damper", signal="damping", unit="1", low=0.0, high=0.2, rest=0.0
        )
        self._actuators = {damper.name: damper}
        self.reset()

    def describe(self) -> Description:
        """Say what there is."""
        floors = [f"floor{at + 1}" for at in range(self._storeys)]
        return Description(
            name="structure",
            engine="modal superposition, numpy",
            step_s=STEP_S,
            sensors=tuple(
                Sensor(name=f"{one}/acceleration", thing=one, signal="acceleration", unit="m/s2")
                for one in (*floors, "ground")
            ),
            actuators=tuple(self._actuators.values()),
            kpis={"peak_drift": "m", "peak_acceleration": "m/s2"},
        )

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew, at rest."""
        self._given = given(scenario, self._known)
        if odd := [one for one, value in self._given.items() if one.startswith(_ABOVE_0) and not value > 0]:
            raise TwinError(f"{odd[0]} cannot be {self._given[odd[0]]:g}", hint="give more than 0")
        self._seed, self._shook, self._at, self._added = seed, seed, 0, 0.0
        self._quake = earthquakes(1, peak_m_s2=self._given["peak_m_s2"], seed=seed)[:, 0]
        self._state = np.zeros((2, self._storeys))
        self._lost = -1.0
        self._peak, self._worst = np.zeros(self._storeys), 0.0
        self._force = np.zeros(self._storeys)
        self._learn_modes()
        return self._read(np.zeros(self._storeys + 1))

    def step(self) -> Mapping[str, float]:
        """Simulate a hundredth of a second."""
        given_, now = self._given, self._at * STEP_S
        lost = given_["loss"] if given_["loss_storey"] >= 0 and now >= given_["loss_after_s"] else 0.0
        if lost != self._lost:
            self._learn_modes()
        rng = np.random.default_rng([self._seed, self._at])
        ground = given_["ambient_m_s2"] * rng.standard_normal()
        begun = self._at - round(given_["earthquake_after_s"] / STEP_S)
        if given_["earthquake_after_s"] >= 0 and 0 <= begun < len(self._quake):
            ground += float(self._quake[begun])
        force = -self._push * ground
        if given_["traffic_a_minute"] > 0 and rng.random() < given_["traffic_a_minute"] / 60 * STEP_S:
            self._state[1] += self._modes.shape[0] * 2000.0  # a lorry's jolt at the first floor, N s
        moved = np.einsum("ijm,jm->im", self._a, self._state) + self._b * self._force + self._c * force
        self._state, self._force = moved, force
        self._at += 1
        damped = 2 * self._modes.damping * self._modes.omega * moved[1]
        acceleration = self._modes.shape @ (force - damped - self._modes.omega**2 * moved[0]) + ground
        drift = np.diff(np.concatenate([[0.0], self._modes.shape @ moved[0]]))
        self._peak = np.maximum(self._peak, np.abs(drift))
        self._worst = max(self._worst, float(np.abs(acceleration).max()))
        felt = np.append(acceleration, ground)
        return self._read(felt + given_["noise_m_s2"] * rng.standard_normal(self._storeys + 1))

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set what the damper adds to the first mode, as a share of critical damping."""
        self._added = checked(commands, self._actuators).get("damper/added", self._added)
        self._learn_modes()

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Switch the damper off."""
        for name in names or ():
            if name not in self._actuators:
                raise TwinError(f"there is no actuator {name!r}")
        self._added = 0.0
        self._learn_modes()

    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            {
                "at": self._at, "seed": self._seed, "shook": self._shook, "given": self._given,
                "added": self._added,
                "floor": self._modes.shape @ self._state.T, "force": self._force, "peak": self._peak,
                "worst": self._worst, "modal": self._state,
            }
        )  # fmt: skip

    def restore(self, state: bytes) -> None:
        """Go back to a state."""
        found = unpack(state, ("at", "seed", "shook", "given", "added", "force", "peak", "worst", "modal"))
        self.reset(seed=found["shook"], scenario=found["given"])
        self._seed, self._at, self._added, self._peak = (
            found["seed"],
            found["at"],
            found["added"],
            found["peak"],
        )
        self._learn_modes()
        self._state, self._force, self._worst = found["modal"], found["force"], found["worst"]

    def reseed(self, seed: int) -> None:
        """Let the ground tremble otherwise from here on; an earthquake that has begun goes on as it is."""
        self._seed = seed
        if self._at * STEP_S < self._given["earthquake_after_s"]:
            self._shook = seed
            self._quake = earthquakes(1, peak_m_s2=self._given["peak_m_s2"], seed=seed)[:, 0]

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit each storey's stiffness and the damping to the motion of ground and floors; start anew so.

        See :func:`nervure.twin.shake.fit_shaking`.
        """
        from nervure.twin.shake import fit_shaking

        return fit_shaking(self, observed)

    def frame(self, lost: float) -> Frame:
        """Return the building of the scenario, with a share of stiffness lost in its storey."""
        given_ = self._given
        own = np.array([given_[f"stiffness/{at + 1}"] for at in range(self._storeys)])
        return shear_building(
            self._storeys, stiffness_n_m=own * given_["stiffness"] * STIFFNESS_N_M,
            damping=given_["damping"], loss={int(given_["loss_storey"]): lost} if lost else None,
        )  # fmt: skip

    def kpis(self) -> Mapping[str, float]:
        """Return the largest drift of any storey and the largest acceleration of any floor."""
        return {"peak_drift": float(self._peak.max()), "peak_acceleration": self._worst}

    def close(self) -> None:
        """Nothing is to be ended."""

    def _learn_modes(self) -> None:
        """Work out the modes as they are now, and carry the state over into them."""
        given_, now = self._given, self._at * STEP_S
        damaged = given_["loss_storey"] >= 0 and now >= given_["loss_after_s"]
        lost = given_["loss"] if damaged else 0.0
        frame = self.frame(lost)
        found = modes(frame)
        damping = found.damping.copy()
        damping[0] += self._added
        found = found._replace(damping=damping)
        if self._lost >= 0:
            floor = self._modes.shape @ self._state.T  # [floor, displacement and velocity]
            self._state = (found.shape.T @ frame.mass @ floor).T
            self._force = found.shape.T @ frame.mass @ self._modes.shape @ self._force
        self._modes, self._lost = found, lost
        self._push = found.shape.T @ frame.mass @ frame.ground
        self._a, self._b, self._c = exact_step(found, STEP_S)

    def _read(self, acceleration: Floats) -> Mapping[str, float]:
        floors = {f"floor{at + 1}/acceleration": float(one) for at, one in enumerate(acceleration[:-1])}
        return floors | {"ground/acceleration": float(acceleration[-1])}
