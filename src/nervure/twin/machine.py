"""The twin of a machine that wears: a shaft with a bearing and a gear, shaking as its faults grow.

Faults strike at the frequencies of the bearing's geometry, each strike ringing at the housing's resonance,
a little off its time as rolling elements slip (Antoni & Randall, Mechanical Systems and Signal Processing
17(1), 2003). A gear's mesh is modulated by the shaft, more as teeth wear. Damage grows as Paris's law has
it, faster under load and speed; at 1 the machine stops. Its figures are of no real machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given, pack, unpack

__all__ = ["BALLS", "Machine", "orders", "shaken"]

Floats = NDArray[np.float64]
STEP_S = 600.0
RATE_HZ, SAMPLES = 12_000.0, 12_000
BALLS, _RATIO, _TEETH = 9, 0.39, 29  # of a 6205 bearing: balls, ball over pitch diameter
_KINDS = ("outer", "inner", "ball")
_KNOWN = {"kind": 0.0, "rate": 1.0, "start": 0.001, "load": 0.7, "noise": 0.05, "gear": 0.0}
_STATE = ("at", "given", "seed", "damage", "gear", "speed", "load", "sums")


def orders(balls: int = BALLS, ratio: float = _RATIO) -> Mapping[str, float]:
    """Return how often a turn a fault of each kind strikes (Harris, Rolling Bearing Analysis, chapter 25).

    >>> {name: round(one, 2) for name, one in orders().items()}
    {'outer': 2.75, 'inner': 6.26, 'ball': 2.17}
    """
    return {
        "outer": balls / 2 * (1 - ratio),
        "inner": balls / 2 * (1 + ratio),
        "ball": (1 - ratio**2) / ratio,
    }


def shaken(
    kind: str,
    damage: float,
    gear: float,
    *,
    turns_hz: float,
    load: float,
    noise: float,
    rng: np.random.Generator,
) -> Floats:
    """Return a second of acceleration in m/s2 at 12 kHz, ``[sample]``."""
    time = np.arange(SAMPLES) / RATE_HZ
    mesh = 2 * np.pi * _TEETH * turns_hz * time
    out = 0.3 * load * (1 + 0.8 * gear * np.cos(2 * np.pi * turns_hz * time)) * np.sin(mesh)
    every = 1 / (orders()[kind] * turns_hz)
    strikes = np.cumsum(every * (1 + 0.01 * rng.standard_normal(int(1 / every) + 2)))
    ring = np.exp(-600 * time[:600]) * np.sin(2 * np.pi * 3200 * time[:600])
    for moment in strikes[strikes < time[-1]]:
        at = int(moment * RATE_HZ)
        turned = 1.0 if kind == "outer" else 0.6 + 0.4 * np.cos(2 * np.pi * turns_hz * moment)
        part = ring[: SAMPLES - at]
        out[at : at + len(part)] += (
            12 * damage**0.7 * load * turned * (1 + 0.1 * rng.standard_normal()) * part
        )
    found: Floats = out + noise * rng.standard_normal(SAMPLES)
    return found


class Machine:
    """A machine that turns until it breaks; a step is ten minutes, and a second of it is measured.

    With ``measured_every`` that happens at one step in so many only; the others' readings of the bearing
    are NaN. Its local plan runs at full speed. ``waveform`` is the last second as it was sampled.

    >>> twin = Machine()
    >>> 0.0 < twin.step()["bearing/rms"] < 1.0
    True
    """

    def __init__(self, *, measured_every: int = 1) -> None:
        if measured_every < 1:
            raise TwinError(f"one step in {measured_every} cannot be measured", hint="give 1 or more")
        self._every = measured_every
        speed = Actuator(name="drive/speed", thing="drive", signal="speed", unit="1", low=0, high=1, rest=1)
        self._actuators = {speed.name: speed}
        self.reset()

    def describe(self) -> Description:
        """Say what there is."""
        named = (
            ("bearing/rms", "acceleration", "m/s2"), ("bearing/kurtosis", "kurtosis", "1"),
            ("bearing/envelope", "envelope", "m/s2"), ("bearing/temperature", "temperature", "Cel"),
            ("drive/turns", "frequency", "Hz"),
        )  # fmt: skip
        return Description(
            name="machine",
            engine="bearing and gear signals, numpy",
            step_s=STEP_S,
            sensors=tuple(Sensor(name=a, thing=a.split("/")[0], signal=b, unit=c) for a, b, c in named),
            actuators=tuple(self._actuators.values()),
            kpis={"damage": "1", "work": "h", "broken": "1"},
        )

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew with a bearing of ``start`` damage: kind 0 outer race, 1 inner race, 2 ball."""
        self._given = given(scenario, _KNOWN)
        if self._given["kind"] not in (0.0, 1.0, 2.0):
            raise TwinError(
                f"there is no kind {self._given['kind']:g} of fault", hint="0 outer, 1 inner, 2 ball"
            )
        self._seed, self._at, self._speed, self._load = seed, 0, 1.0, self._given["load"]
        self._damage, self._gear = self._given["start"], self._given["gear"]
        self._sums = np.zeros(1)
        return self._read()

    def step(self) -> Mapping[str, float]:
        """Let ten minutes pass."""
        rng = np.random.default_rng([self._seed, self._at])
        if self._damage < 1.0 and self._speed > 0:
            # Paris's law with an exponent of about 3 in load; damage speeds itself up
            stress = (self._load * self._speed) ** 3 * float(np.exp(0.3 * rng.standard_normal()))
            self._damage += self._given["rate"] * 0.02 * stress * self._damage**0.75 * STEP_S / 600
            self._gear = min(1.0, self._gear + 2e-5 * self._given["rate"] * self._load * self._speed)
            self._sums += self._speed * STEP_S / 3600
        self._damage = min(self._damage, 1.0)
        self._at += 1
        return self._read()

    @property
    def waveform(self) -> Floats:
        """The last second of acceleration in m/s2, ``[sample]`` at 12 kHz."""
        rng = np.random.default_rng([self._seed, self._at, 1])
        turns = 30.0 * self._speed
        if turns <= 0 or self._damage >= 1.0:
            return self._given["noise"] * rng.standard_normal(SAMPLES)
        kind = _KINDS[int(self._given["kind"])]
        return shaken(
            kind,
            self._damage,
            self._gear,
            turns_hz=turns,
            load=self._load,
            noise=self._given["noise"],
            rng=rng,
        )

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set the drive's speed as a share of the full one; 0 stops it."""
        self._speed = checked(commands, self._actuators).get("drive/speed", self._speed)

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Run at full speed again."""
        for name in names or ():
            if name not in self._actuators:
                raise TwinError(f"there is no actuator {name!r}")
        self._speed = 1.0

    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            {
                "at": self._at, "given": self._given, "seed": self._seed, "damage": self._damage,
                "gear": self._gear, "speed": self._speed, "load": self._load, "sums": self._sums,
            }
        )  # fmt: skip

    def restore(self, state: bytes) -> None:
        """Go back to a state."""
        found = unpack(state, _STATE)
        self.reset(seed=found["seed"], scenario=found["given"])
        self._at, self._damage, self._gear = found["at"], found["damage"], found["gear"]
        self._speed, self._load, self._sums = found["speed"], found["load"], found["sums"]

    def reseed(self, seed: int) -> None:
        """Let the load vary otherwise from here on."""
        self._seed = seed

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit how fast damage grows to ``bearing/envelope``, a step each; the last third is held out.

        Returns the rate and the held-out error of the envelope, as a share of its mean, ``uncalibrated`` too.
        What was not measured (NaN) counts for nothing.
        """
        seen = np.array(observed.get("bearing/envelope", ()))
        cut, there = len(seen) * 2 // 3, np.isfinite(seen)
        if there[:cut].sum() < 20 or there[cut:].sum() < 10:
            raise TwinError("calibrating needs 30 steps of bearing/envelope, ten in the last third")

        def wrong(rate: float, part: slice) -> float:
            twin = Machine()
            twin.reset(seed=self._seed, scenario={**self._given, "rate": rate})
            own = np.array([twin.step()["bearing/envelope"] for _ in range(part.stop)])[part]
            return float(np.nanmean(np.abs(own - seen[part])) / np.nanmean(seen[part]))

        rates = np.geomspace(0.25, 4.0, 17)
        best = float(rates[np.argmin([wrong(float(one), slice(0, cut)) for one in rates])])
        last = slice(cut, len(seen))
        plain = wrong(self._given["rate"], last)
        return {"rate": best, "held_out_share": wrong(best, last), "uncalibrated_held_out_share": plain}

    def kpis(self) -> Mapping[str, float]:
        """Return the damage, what was worked in hours at full speed, and whether it broke."""
        return {"damage": self._damage, "work": float(self._sums[0]), "broken": float(self._damage >= 1.0)}

    def close(self) -> None:
        """Nothing is to be ended."""

    def _read(self) -> Mapping[str, float]:
        turning = {
            "bearing/temperature": 35.0 + 15.0 * self._load * self._speed + 30.0 * self._damage,
            "drive/turns": 30.0 * self._speed if self._damage < 1.0 else 0.0,
        }
        if self._at % self._every:
            return dict.fromkeys(("bearing/rms", "bearing/kurtosis", "bearing/envelope"), math.nan) | turning
        wave = self.waveform
        spread = max(float(wave.std()), 1e-12)
        return {
            "bearing/rms": float(np.sqrt((wave**2).mean())),
            "bearing/kurtosis": float((((wave - wave.mean()) / spread) ** 4).mean()),
            "bearing/envelope": self._envelope(wave),
        } | turning

    def _envelope(self, wave: Floats) -> float:
        """Return the amplitude of the envelope at the fault's own frequency, in m/s2."""
        count = len(wave)
        spectrum = np.fft.fft(wave)
        frequency = np.fft.fftfreq(count, 1 / RATE_HZ)
        band = (frequency > 2200) & (frequency < 4200)
        level = np.abs(np.fft.ifft(np.where(band, 2 * spectrum, 0.0)))
        rate = orders()[_KINDS[int(self._given["kind"])]] * 30.0 * self._speed
        lines = np.abs(np.fft.rfft(level - level.mean())) / count * 2
        near = np.arange(max(1, int(rate * 0.97)), int(rate * 1.03) + 2)
        return float(lines[near].max())
