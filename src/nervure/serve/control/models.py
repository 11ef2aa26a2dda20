"""Models: how good each was on its test beside plain baselines, and how good the one that scores is now."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nervure.core.card import Card, Metric
from nervure.core.error import DeniedError, NotFoundError, QueryError
from nervure.core.instant import DAY_NS, SECOND_NS, iso
from nervure.core.problem import Forecast
from nervure.serve.control.column import numbers
from nervure.serve.control.given import MS
from nervure.serve.control.route import Call, Desk, Route, number
from nervure.serve.control.study import Study
from nervure.serve.control.vital import reporting
from nervure.serve.site import streams_in_sight
from nervure.store.hindsight import held, mean
from nervure.store.model import Model
from nervure.store.site import Site

__all__ = [
    "ROUTES", "ErrorsQuery", "ErrorsView", "ModelDetail", "ModelView", "Period", "errors", "in_sight",
    "model", "model_view", "models", "promote",
]  # fmt: skip

Floats = NDArray[np.float64]

AVERAGE = ("avg", "")
"""How cards call the mean over all horizons, and what has none."""


class ErrorsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of how many days up to now; with ``replay`` the readings are gone through again with this model.

    So models can be held against each other that did not score at the same time.
    """

    days: Annotated[float, Meta(gt=0, le=92)] = 7
    replay: bool = False


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model: what its card says of its test, the best plain baseline beside it, and its age.

    ``metric`` is the smaller the better. ``coverage`` is the share of readings inside the interval that
    promised ``promised`` of them.
    """

    id: int
    name: str
    version: str
    solution: str
    problem: str
    added: str
    promoted: bool
    promoted_at: str | None
    age_days: float
    metric: str | None
    value: float | None
    baseline: str | None
    baseline_value: float | None
    coverage: float | None
    promised: float | None
    infer_ms: float
    streams: int
    span: tuple[str, str]


class ModelDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A model with its card, whole."""

    model: ModelView
    card: Card


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A time (ms): mean absolute error, and the share of readings inside the interval."""

    start: int
    end: int
    mae: float | None
    coverage: float | None
    rows: int


class ErrorsView(msgspec.Struct, frozen=True, kw_only=True):
    """How a model does on what was read, a Datastream a place: its newest forecast of each instant is judged.

    ``drift`` is the error of the later half of the time over that of the earlier half. ``shadow``: these
    are not forecasts that were told, but what the model would have told.
    """

    stream: list[int]
    thing: list[int]
    mae: list[float | None]
    bias: list[float | None]
    coverage: list[float | None]
    rows: list[int]
    whole: Period
    earlier: Period
    later: Period
    drift: float | None
    promised: float | None
    shadow: bool


def models(desk: Desk, _: Call) -> list[ModelView]:
    """List the models, the newest first."""
    return [model_view(one) for one in desk.catalogue.models()]


def model(desk: Desk, call: Call) -> ModelDetail:
    """Show a model with its card."""
    found = _one(desk, call)
    return ModelDetail(
        model=model_view(found), card=in_sight(found.card, desk.site(), call.principal.project)
    )


def in_sight(card: Card, site: Site, project: int | None) -> Card:
    """Return a card without the names of Datastreams that somebody does not see."""
    if project is None:
        return card
    mine = {site.streams.name[row] for row in streams_in_sight(site, project).tolist()}
    return msgspec.structs.replace(card, streams=tuple(one for one in card.streams if one in mine))


def promote(desk: Desk, call: Call) -> ModelView:
    """Let a model score its problem; the one before stays for going back."""
    if call.principal.project is not None:
        raise DeniedError(f"{call.principal.name} sees one project, and models score in all of them")
    return model_view(desk.catalogue.promote(number(call.names["id"]), call.principal.name))


def _one(desk: Desk, call: Call) -> Model:
    identity = number(call.names["id"])
    for one in desk.catalogue.models():
        if one.id == identity:
            return one
    raise NotFoundError(f"there is no model {identity}")


def model_view(one: Model) -> ModelView:
    """Return a model as lists show it."""
    card = one.card
    own = [row for row in card.metrics if row.kind != "baseline" and row.horizon in AVERAGE]
    first = own[0] if own else None
    plain = [
        row for row in card.metrics
        if first is not None and row.kind == "baseline" and (row.metric, row.horizon, row.part)
        == (first.metric, first.horizon, first.part) and row.value == row.value
    ]  # fmt: skip
    best: Metric | None = min(plain, key=lambda row: row.value, default=None)
    covered = next((row for row in own if row.metric.startswith("coverage")), None)
    return ModelView(
        id=one.id, name=one.name, version=one.version, solution=one.solution, problem=one.problem,
        added=iso(one.added_ns), promoted=one.promoted,
        promoted_at=None if one.promoted_ns is None else iso(one.promoted_ns),
        age_days=round((time.time_ns() - one.added_ns) / DAY_NS, 3),
        metric=first.metric if first else None, value=first.value if first else None,
        baseline=best.subject if best else None, baseline_value=best.value if best else None,
        coverage=covered.value if covered else None, promised=_promised(card), infer_ms=card.infer_ms,
        streams=len(card.streams), span=card.span,
    )  # fmt: skip


def _promised(card: Card) -> float | None:
    """Return the share of readings that the outer quantiles promise to hold."""
    return round(card.quantiles[-1] - card.quantiles[0], 6) if len(card.quantiles) > 1 else None


def errors(desk: Desk, call: Call) -> ErrorsView:
    """Judge a model's newest forecasts against what was read, a Datastream each.

    A model that does not score is judged by what it would have foretold of the same readings.
    """
    found, problem = _forecaster(desk, call)
    shadow = call.query.replay or not found.promoted
    site = desk.site()
    table = site.streams
    clock = reporting(table, desk.observed.newest(), time.time_ns()).clock_ns
    start, end = clock - round(call.query.days * DAY_NS), clock + SECOND_NS
    seen = streams_in_sight(
        site, call.principal.project, solution=found.solution, signal=problem.of, kind="reading"
    )
    told = {int(table.source[row]): int(table.id[row]) for row in np.flatnonzero(table.kind == "forecast")}
    rows = [row for row in seen.tolist() if int(table.id[row]) in told]
    read = [int(table.id[row]) for row in rows]
    both = read if shadow else [*read, *(told[one] for one in read)]
    with desk.room.lent(desk.observed.about(both, start, end), hint="ask for fewer days"):
        curves = desk.observed.curves(both, start, end)
    foretold = (
        _study(desk).shadow(found, start, end)
        if shadow
        else {one: curves[told[one]] for one in read if told[one] in curves}
    )
    parts = [held(curves.get(one), foretold.get(one)) for one in read]
    middle = (start + end) // 2000
    whole = np.concatenate([np.zeros((0, 3)), *parts])
    halves = [whole[whole[:, 0] < middle], whole[whole[:, 0] >= middle]]
    earlier, later = _period(halves[0], start, middle * 1000), _period(halves[1], middle * 1000, end)
    return ErrorsView(
        stream=read, thing=[int(table.thing[row]) for row in rows],
        mae=numbers(np.array([mean(np.abs(part[:, 1])) for part in parts])),
        bias=numbers(np.array([mean(part[:, 1]) for part in parts])),
        coverage=numbers(np.array([mean(part[:, 2]) for part in parts])),
        rows=[len(part) for part in parts], whole=_period(whole, start, end), earlier=earlier, later=later,
        drift=_over(later.mae, earlier.mae), promised=_promised(found.card), shadow=shadow,
    )  # fmt: skip


def _forecaster(desk: Desk, call: Call) -> tuple[Model, Forecast]:
    found = _one(desk, call)
    if not isinstance(found.card.problem, Forecast):
        raise QueryError("only forecasts can be held against what was read")
    return found, found.card.problem


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if other and one is not None else None


def _study(desk: Desk) -> Study:
    if desk.study is None:
        raise QueryError("only of a model that scores now is anything to be judged", hint="promote it first")
    return desk.study


def _period(rows: Floats, start_ns: int, end_ns: int) -> Period:
    mae, covered = numbers(np.array([mean(np.abs(rows[:, 1])), mean(rows[:, 2])]))
    return Period(start=start_ns // MS, end=end_ns // MS, mae=mae, coverage=covered, rows=len(rows))


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/models", work=models, answer=list[ModelView], **_READ),
    Route(path="/api/models/{id}", work=model, answer=ModelDetail, **_READ),
    Route(path="/api/models/{id}/errors", work=errors, query=ErrorsQuery, answer=ErrorsView, **_READ),
    Route(method="POST", path="/api/models/{id}/promote", right="train", work=promote, answer=ModelView),
)
