"""What the routes of twins ask of the node: which twins there are, and questions to them."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from nervure.store.scope import Scope

__all__ = [
    "MOST_SEEDS",
    "AskedView",
    "Asking",
    "ChangeView",
    "Inquiries",
    "QuestionView",
    "TwinView",
    "TwinsView",
]

MOST_SEEDS = 50

Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Asking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask: a question by its name, over how many pairs of runs.

    ``minutes``, ``scenario`` (in both runs) and ``measure`` (what is done) change the question; quantities
    that it does not have are refused. With ``film`` one pair of runs is kept step by step. With ``now`` all
    runs begin where the twin is that runs beside this node (``nervure twin run NAME --keep``), and go on with
    other chance each.
    """

    question: Name
    seeds: Annotated[int, Meta(ge=2, le=MOST_SEEDS)] = 5
    minutes: Annotated[float, Meta(gt=0, le=10_080)] | None = None
    scenario: Annotated[dict[Name, Number], Meta(max_length=50)] = {}
    measure: Annotated[dict[Name, Number], Meta(max_length=50)] = {}
    film: bool = True
    now: bool = False


class TwinView(msgspec.Struct, frozen=True, kw_only=True):
    """A twin, and whether what computes it is on this machine.

    ``kept`` is when one that runs beside this node last wrote down where it is, in ms since 1970.
    """

    name: str
    about: str
    engine: str
    installed: bool
    hint: str = ""
    kept: int | None = None


class QuestionView(msgspec.Struct, frozen=True, kw_only=True):
    """A question to begin with: of which twin, how many simulated minutes, in which circumstances.

    ``measure`` are the numbers of what is done: commands that are held, circumstances that are different.
    """

    name: str
    title: str = ""
    twin: str = "roads"
    minutes: float | None = None
    scenario: dict[str, float] = {}
    measure: dict[str, float] = {}


class TwinsView(msgspec.Struct, frozen=True, kw_only=True):
    """Which twins there are, and what can be asked of them."""

    twins: list[TwinView]
    questions: list[QuestionView]


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A key figure with nothing done and with the measure, and the difference with its 95 % interval.

    ``p`` is how often chance alone makes a difference as large.
    """

    kpi: str
    unit: str
    base: float | None
    do: float | None
    mean: float | None
    low: float | None
    high: float | None
    p: float | None


class AskedView(msgspec.Struct, frozen=True, kw_only=True):
    """A question that was asked, how far it is (``share`` 0 to 1), and what came of it.

    Instants are ms since 1970; ``said`` is what it does, or why it failed. ``film`` tells whether a film
    of it was kept, ``unfilmed`` why not, if one was wanted.
    """

    id: int
    question: str
    title: str
    twin: str
    seeds: int
    minutes: float | None
    scenario: dict[str, float]
    measure: dict[str, float]
    who: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    share: float = 0.0
    said: str = ""
    asked: int = 0
    began: int | None = None
    ended: int | None = None
    changes: list[ChangeView] = []
    film: bool = False
    unfilmed: str = ""
    now: bool = False


class Inquiries(Protocol):
    """Lent by the node; its methods are called from threads."""

    def twins(self) -> TwinsView:
        """Return what there is."""
        ...

    def ask(self, wish: Asking, scope: Scope, /) -> AskedView:
        """Ask; ``BusyError`` while too much waits already."""
        ...

    def asked(self, scope: Scope, /) -> list[AskedView]:
        """Return what was asked, the newest first."""
        ...

    def one(self, key: int, scope: Scope, /) -> AskedView:
        """Return one of them, or raise ``NotFoundError``."""
        ...

    def film(self, key: int, scope: Scope, /) -> bytes:
        """Return its film as JSON, or raise ``NotFoundError``."""
        ...

    def drop(self, key: int, scope: Scope, /) -> None:
        """Stop one that waits or runs; forget one that has ended."""
        ...
