"""What needs no twin and foretells the same readings: what a calibrated twin has to beat, per kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["USUAL", "rain_line", "rigid", "same_hour"]

Floats = NDArray[np.float64]
Seen = Mapping[str, Sequence[float]]
_HOURS = (0.0, 0.5, 1.5, 4.0)  # over which rain is smoothed


def _cut(seen: Seen) -> tuple[int, int]:
    count = len(next(iter(seen.values())))
    return round(count * 2 / 3), count


def _table(seen: Seen, signal: str) -> Floats:
    """Return all series of a signal, ``[step, sensor]``."""
    return np.array([row for name, row in seen.items() if name.endswith(f"/{signal}")]).T


def _rmse(off: Floats) -> float:
    return float(np.sqrt(np.mean(off**2)))


def same_hour(seen: Seen, step_s: float) -> dict[str, float]:
    """Foretell pressures and flows of pipes by the mean of that time of day in the first two thirds."""
    day, (cut, count) = round(86_400 / step_s), _cut(seen)
    found = {}
    for signal, word in (("pressure", "rmse_m"), ("flow", "flow")):
        table = _table(seen, signal)
        usual = np.array([table[:cut][at::day].mean(axis=0) for at in range(day)])
        late = table[cut:]
        scale = float(np.abs(late).mean()) if signal == "flow" else 1.0
        found[f"held_out_{word}"] = _rmse(late - usual[np.arange(cut, count) % day]) / scale
    return found


def rain_line(seen: Seen, step_s: float) -> dict[str, float]:
    """Foretell each level of a sewer by a line through rain, smoothed over half an hour to four hours."""
    from scipy.signal import lfilter

    rain, level, (cut, count) = np.array(seen["sky/rain"]), _table(seen, "level"), _cut(seen)
    keep = [np.exp(-step_s / 3600 / one) if one else 0.0 for one in _HOURS]
    columns = [np.ones(count), *(lfilter([1 - one], [1.0, -one], rain) for one in keep)]
    by = np.stack(columns, axis=1)
    line = np.linalg.lstsq(by[:cut], level[:cut], rcond=None)[0]
    return {"held_out_rmse_m": _rmse(np.maximum(by @ line, 0.0)[cut:] - level[cut:])}


def rigid(seen: Seen, _step_s: float) -> dict[str, float]:
    """Foretell floors by the ground: a building that does not give."""
    cut, floors = _cut(seen)[0], _table(seen, "acceleration")
    ground = np.array(seen["ground/acceleration"])
    own = floors[:, [not name.startswith("ground") for name in seen if name.endswith("/acceleration")]]
    return {"held_out_share": _rmse((ground[:, None] - own)[cut:]) / _rmse(own[cut:])}


USUAL: Mapping[str, Callable[[Seen, float], dict[str, float]]] = {
    "pipes": same_hour,
    "sewer": rain_line,
    "structure": rigid,
}
"""By the module of the twin: errors of the last third by the same names as its calibration's."""
