"""Whether the model was worth it: held against the last value and the seasonal naive forecasts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nervure.core.card import Metric
from nervure.learn.evaluate import AVERAGE

__all__ = ["Verdict", "verdict"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The mean absolute error over the horizon on the test part, of the ``model`` and of the ``rivals``.

    ``wins`` tells whether the model errs less than each of them; ``worse_at`` are the horizons at
    which one of them errs less. ``best`` is the forecaster of the whole table that errs least.
    """

    model: str
    mae: float
    rivals: dict[str, float]
    wins: bool
    worse_at: dict[str, str]
    best: str
    says: str


def verdict(metrics: Sequence[Metric]) -> Verdict | None:
    """Judge the table of a course; None where it holds no plain forecast or no model."""
    errors = {(one.subject, one.horizon): one.value for one in metrics if one.metric == "MAE"}
    kind = {one.subject: one.kind for one in metrics}
    model = next((name for name, one in kind.items() if one == "deep"), None)
    plain = [name for name in kind if name == "last value" or name.startswith("seasonal naive")]
    if model is None or not plain:
        return None
    mine = errors[model, AVERAGE]
    rivals = {name: errors[name, AVERAGE] for name in plain}
    lost = [name for name, error in rivals.items() if not mine < error]
    worse = {
        horizon: name
        for horizon in dict.fromkeys(horizon for _, horizon in errors if horizon != AVERAGE)
        for name in [min(plain, key=lambda one: errors[one, horizon])]
        if not errors[model, horizon] < errors[name, horizon]
    }
    best = min((name for name in kind), key=lambda name: errors[name, AVERAGE])
    says = _lost(model, mine, rivals, lost) if lost else _won(model, mine, rivals)
    if worse and not lost:
        says += "; but at " + ", ".join(f"{horizon} {name} errs less" for horizon, name in worse.items())
    if best not in (model, *plain):
        says += f". The least error of all is that of {best}: {errors[best, AVERAGE]:.4g}"
    return Verdict(
        model=model, mae=mine, rivals=rivals, wins=not lost, worse_at=worse, best=best, says=says + "."
    )


def _won(model: str, mine: float, rivals: dict[str, float]) -> str:
    shares = [f"{_less(mine, error)} less than {name} ({error:.4g})" for name, error in rivals.items()]
    return f"{model} errs {mine:.4g} in the mean over the horizon on the test part: {' and '.join(shares)}"


def _less(mine: float, error: float) -> str:
    return f"{100 * (1 - mine / error):.1f} %" if error > 0 else "0 %"


def _lost(model: str, mine: float, rivals: dict[str, float], lost: list[str]) -> str:
    best = min(lost, key=lambda name: rivals[name])
    return (
        f"the default ({model}) does not beat {best} here: {mine:.4g} against {rivals[best]:.4g} in the mean"
        f" over the horizon on the test part. Use {best}, or give the model more history, drivers"
        " (--past, --future) or a longer --window"
    )
