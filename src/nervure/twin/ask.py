"""What every twin asks of what it is given: commands it knows, within range; scenarios it knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from nervure.twin.api import Actuator, TwinError

__all__ = ["checked", "given", "pack", "unpack", "within"]


def checked(commands: Mapping[str, float], actuators: Mapping[str, Actuator]) -> dict[str, float]:
    """Return the commands as they are; raise TwinError for unknown names and for values out of range."""
    for name, value in commands.items():
        actuator = actuators.get(name)
        if actuator is None:
            raise TwinError(f"there is no actuator {name!r}", hint=f"there are: {', '.join(actuators)}")
        if not (math.isfinite(value) and actuator.low <= value <= actuator.high):
            raise TwinError(
                f"{name} cannot be {value:g}{'' if actuator.unit == '1' else f' {actuator.unit}'}",
                hint=f"give {actuator.low:g} to {actuator.high:g}",
            )
    return dict(commands)


def given(scenario: Mapping[str, float] | None, known: Mapping[str, float]) -> dict[str, float]:
    """Return the known quantities of a scenario with what was given put in.

    >>> given({"warmer_k": 2.0}, {"warmer_k": 0.0, "days": 365.0})
    {'warmer_k': 2.0, 'days': 365.0}
    """
    odd = sorted(set(scenario or {}) - set(known))
    if odd:
        raise TwinError(f"the scenario cannot set {odd[0]!r}", hint=f"it can set: {', '.join(known)}")
    for name, value in (scenario or {}).items():
        if math.isnan(value):
            raise TwinError(
                f"the scenario sets {name!r} to no number", hint=f"it is {known[name]:g} by itself"
            )
    return {**known, **{name: float(value) for name, value in (scenario or {}).items()}}


def within(wish: dict[str, float], bounds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return a scenario; raise TwinError where a quantity lies where it cannot.

    >>> within({"rain_mm": 80.0}, {"rain_mm": (0.0, 1e6)})
    {'rain_mm': 80.0}
    """
    for name, (low, high) in bounds.items():
        if not low <= wish[name] <= high:
            raise TwinError(f"{name} cannot be {wish[name]:g}", hint=f"give {low:g} to {high:g}")
    return wish


def pack(state: Mapping[str, Any]) -> bytes:
    """Return a state as bytes: numbers, text, and arrays of float64 with their shapes."""
    plain = {
        name: {"shape": value.shape, "float64": value.astype(np.float64).tobytes()}
        if isinstance(value, np.ndarray)
        else value
        for name, value in state.items()
    }
    return msgspec.msgpack.encode(plain)


def unpack(state: bytes, names: Iterable[str]) -> dict[str, Any]:
    """Return what :func:`pack` was given; raise TwinError where it is another twin's state."""
    try:
        plain = msgspec.msgpack.decode(state)
        found = {name: plain[name] for name in names}
    except (msgspec.DecodeError, KeyError, TypeError) as cause:
        raise TwinError(
            f"this is no state of this twin: {cause}", hint="give what `snapshot` returned"
        ) from cause
    for name, value in found.items():
        if isinstance(value, dict) and "float64" in value:
            found[name] = np.frombuffer(value["float64"]).reshape(value["shape"]).copy()
    return found
