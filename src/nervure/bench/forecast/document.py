"""The report as data: what ``forecasting.json`` holds, and everything the page is written from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from nervure.bench.forecast.bootstrap import Gain
from nervure.bench.forecast.goal import Verdict
from nervure.bench.forecast.job import DEFAULT, Curve, Round, Survey

__all__ = ["Compared", "Document", "Failure", "Line", "Machine", "Picture", "read", "save", "slug"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One number of one model on one set; costs are means over the seeds."""

    set: str
    model: str
    kind: str
    horizon: str
    metric: str
    value: float
    seeds: int
    train_cpu_s: float | None = None
    infer_ms: float | None = None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A deep model against the best plain baseline of a set at a horizon (mean absolute error)."""

    set: str
    model: str
    horizon: str
    baseline: str
    gain: Gain


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn of a set: error curves by model, and a stretch of test time."""

    set: str
    curves: dict[str, Curve]
    round: Round | None = None
    baseline: str = ""
    baseline_median: tuple[float, ...] = ()


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What did not come about, and why."""

    set: str
    model: str
    error: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What it was measured on."""

    processor: str = ""
    cores: int = 0
    python: str = ""
    torch: str = ""
    nervure: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    made: str
    machine: Machine
    full: bool
    sets: tuple[Survey, ...]
    rows: tuple[Line, ...]
    compared: tuple[Compared, ...] = ()
    goals: tuple[Verdict, ...] = ()
    pictures: tuple[Picture, ...] = ()
    extra: tuple[dict[str, str | float | None], ...] = ()
    failures: tuple[Failure, ...] = ()

    def value(self, name: str, model: str, metric: str, horizon: str = "avg") -> float | None:
        """Return one number, or None where it was not measured."""
        for row in self.rows:
            if (row.set, row.model, row.metric, row.horizon) == (name, model, metric, horizon):
                return row.value
        return None

    def models(self, name: str, kind: str = "") -> tuple[str, ...]:
        """Return the models of a set, of one kind or of all, in the order of its rows."""
        found = [row.model for row in self.rows if row.set == name and kind in ("", row.kind)]
        return tuple(dict.fromkeys(found))

    def horizons(self, name: str) -> tuple[str, ...]:
        """Return the horizons that a set's mean absolute errors are reported at, the mean over all last."""
        found = [row.horizon for row in self.rows if row.set == name and row.metric == "MAE"]
        return tuple(dict.fromkeys(found))

    def best(self, name: str, kind: str, metric: str = "MAE", horizon: str = "avg") -> str:
        """Return the model of a kind with the smallest value; empty where there is none."""
        found = {
            row.model: row.value
            for row in self.rows
            if (row.set, row.kind, row.metric, row.horizon) == (name, kind, metric, horizon)
        }
        return min(found, key=lambda model: found[model], default="")

    def against(self, name: str, horizon: str = "avg", model: str = DEFAULT) -> Compared | None:
        """Return how a deep model stands against the best baseline of a set."""
        for one in self.compared:
            if (one.set, one.model, one.horizon) == (name, model, horizon):
                return one
        return None

    def each(self, wanted: Callable[[Survey], bool]) -> tuple[Survey, ...]:
        """Return the sets that a condition holds for."""
        return tuple(one for one in self.sets if wanted(one))


def save(document: msgspec.Struct, path: Path) -> None:
    """Write a report as JSON, one row a line, numbers as short as they are true."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = msgspec.to_builtins(document)
    parts = []
    for name, value in tree.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(msgspec.json.encode(_short(one)).decode() for one in value)
            parts.append(f"{msgspec.json.encode(name).decode()}: [\n{lines}\n]")
        else:
            parts.append(
                f"{msgspec.json.encode(name).decode()}: {msgspec.json.encode(_short(value)).decode()}"
            )
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")


def read(path: Path) -> Document:
    """Read a report."""
    return msgspec.json.decode(path.read_bytes(), type=Document)


def _short(value: object) -> object:
    """Return a tree with its numbers cut to five digits."""
    match value:
        case float():
            return float(f"{value:.5g}")
        case dict():
            return {name: _short(one) for name, one in value.items()}
        case list() | tuple():
            return [_short(one) for one in value]
        case _:
            return value


def slug(name: str) -> str:
    """Return a name as part of a file's or an anchor's.

    >>> slug("air-weather"), slug("my set.py")
    ('air-weather', 'my-set-py')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
