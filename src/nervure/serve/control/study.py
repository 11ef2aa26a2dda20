"""What the node does with models beside scoring: trains them anew, judges them before they score."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from nervure.store.curve import Curve
from nervure.store.model import Model

__all__ = ["Study", "Training", "Wanted"]

Text = Annotated[str, Meta(min_length=1, max_length=200)]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to train: ``live`` on the node's own readings too, ``renew`` from the model that scores now."""

    solution: Text
    problem: Text
    live: bool = True
    renew: bool = True
    budget_s: Annotated[float, Meta(gt=0, le=86_400)] = 180.0


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """The last training: of what, by whom, since when (ms), and what came of it.

    A new model is ``promoted`` if it beat the one that scores on what neither was shown; ``said`` is why,
    or why there is none.
    """

    state: Literal["none", "running", "done", "failed"] = "none"
    solution: str = ""
    problem: str = ""
    who: str = ""
    began: int | None = None
    ended: int | None = None
    version: str | None = None
    promoted: bool | None = None
    said: str = ""


class Study(Protocol):
    """Lent by the node; its methods are called from threads."""

    @property
    def training(self) -> Training:
        """How the last training goes, or went."""
        ...

    def train(self, wish: Wanted, who: str, /) -> Training:
        """Begin a training; ``BusyError`` while another goes on."""
        ...

    def shadow(self, model: Model, start_ns: int, end_ns: int, /) -> dict[int, Curve]:
        """Return what a model would have foretold of a span, by the Datastream that was read."""
        ...
