"""Recipes: how a model is trained."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from nervure.learn.model import find_model

__all__ = ["Recipe", "recipe_of"]

Precision = Literal["32-true", "bf16-mixed"]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How to train.

    Windows overlap, so an epoch shows each reading as often as a window and its horizon are long:
    ``views`` is how often it is shown in all, in ``epochs`` at most. The budget may end it sooner.
    ``batch`` counts windows, fewer where more than 12,000 steps would have to be foreseen.
    ``options`` change the model's own sizes; ``precision`` is Fabric's (``bf16-mixed`` on a GPU).
    """

    epochs: float = 3.5
    views: float = 250.0
    least_steps: int = 400
    batch: int = 256
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.998
    warm: float = 0.05
    patience: int = 6
    median_weight: float = 4.0
    dropped: float = 0.15
    precision: Precision = "32-true"
    options: dict[str, Any] = {}

    def renewing(self) -> Recipe:
        """Return the recipe for a net that starts from trained weights: fewer and smaller steps."""
        fewer = {"views": 0.3 * self.views, "epochs": 0.3 * self.epochs, "rate": 0.5 * self.rate}
        return msgspec.structs.replace(self, least_steps=150, **fewer)


def recipe_of(model: str) -> Recipe:
    """Return how a model is trained unless told otherwise: its file's ``RECIPE``, if it has one."""
    found: Recipe = getattr(find_model(model), "RECIPE", None) or Recipe()
    return found
