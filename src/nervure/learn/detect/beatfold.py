"""Deciding between classes of beats in patients who were not seen: folds of records, weights of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["GOALS", "decided", "hands", "weights"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Texts = NDArray[np.str_]

GOALS = {"V": (0.90, 0.85), "S": (0.70, 0.40)}  # sensitivity, positive predictivity
_SPARED = {"V": ("F", "Q"), "S": ("Q",)}  # beats that are no false V or S, as EC57 has it
_WEIGHTS = 2.0 ** np.arange(-5, 5.5, 0.5)
_ENOUGH = 10  # beats of a class, of which a record's sensitivity is a figure


def hands(truth: Texts, record: Texts, count: int) -> list[list[str]]:
    """Deal records so that rare beats are spread: whoever has most of them first, to who has fewest.

    Raises ``DataError`` where there are fewer records than hands.
    """
    rare = [one for one in ("S", "V") if (truth == one).any()]
    load = {
        name: sum(float(((record == name) & (truth == one)).sum() / (truth == one).sum()) for one in rare)
        for name in dict.fromkeys(record.tolist())
    }
    if len(load) < count:
        raise DataError(f"{len(load)} records cannot be dealt into {count} folds", hint="take fewer folds")
    dealt: list[list[str]] = [[] for _ in range(count)]
    for name in sorted(load, key=lambda one: -load[one]):
        min(dealt, key=lambda hand: sum(load[one] + 1e-3 for one in hand)).append(name)
    return dealt


def decided(share: Floats, classes: Sequence[str], weight: dict[str, float]) -> Texts:
    """Return the class of each beat, ``[beat]``, of ``share [beat, class]`` times the classes' weights."""
    scale = np.array([weight.get(one, 1.0) for one in classes])
    found: Texts = np.array(classes)[(share * scale).argmax(axis=1)]
    return found


def weights(share: Floats, truth: Texts, record: Texts, classes: Sequence[str]) -> dict[str, float]:
    """Return weights of S and V by the worst of their four figures over ``GOALS``, records weighing alike.

    ``share [beat, class]`` is what was said of records that were left out. Sensitivity is the mean
    over records with ten beats of the class (with any, where none has ten), the rate of false ones
    the mean over all records, and +P what both come to at the class's share of all beats: so one
    patient with many early beats does not speak for all. Of equals the lighter weights are taken.
    """
    own = np.unique(record, return_inverse=True)[1]
    names = sorted({*classes, *truth.tolist()})
    place = np.searchsorted(names, truth) + len(names) * own
    said, size = np.searchsorted(names, classes), len(names)
    best, chosen = -1.0, {"S": 1.0, "V": 1.0}
    for s in _WEIGHTS.tolist():
        for v in _WEIGHTS.tolist():
            scale = np.array([{"S": s, "V": v}.get(one, 1.0) for one in classes])
            found = said[(share * scale).argmax(axis=1)]
            table = np.bincount(place * size + found, minlength=(own.max() + 1) * size**2)
            near = min(_nearness(table.reshape(-1, size, size), names, one) for one in GOALS)
            if near > best:
                best, chosen = near, {"S": s, "V": v}
    return chosen


def _nearness(table: Longs, names: list[str], name: str) -> float:
    """Return the worse of sensitivity and +P over its goal, from counts ``[record, true, found]``."""
    if name not in names:
        return 0.0
    at = names.index(name)
    other = [place for place, one in enumerate(names) if one != name and one not in _SPARED[name]]
    count, hit = table[:, at].sum(axis=1), table[:, at, at]
    rest, false = table[:, other].sum(axis=(1, 2)), table[:, other, at].sum(axis=1)
    if not count.any() or not rest.any():
        return 0.0
    enough = count >= min(_ENOUGH, count.max())
    sensitivity = float((hit[enough] / count[enough]).mean())
    rate = float((false[rest > 0] / rest[rest > 0]).mean())
    part = float(count.sum() / (count.sum() + rest.sum()))
    right = sensitivity * part
    precision = right / max(right + rate * (1 - part), 1e-12)
    return min(sensitivity / GOALS[name][0], precision / GOALS[name][1])
