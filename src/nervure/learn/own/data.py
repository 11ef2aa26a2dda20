"""A file of one's own as a data set: its solution, its table, its parts, and what was left out."""

from __future__ import annotations

import re
import unicodedata

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.calendar import calendar
from nervure.core.declaration import AHEAD_NS, Rule, Signal, Solution, Source, validate
from nervure.core.error import DataError, DeclarationError, UsageError
from nervure.core.instant import DAY_NS, SECOND_NS, duration_text
from nervure.core.problem import Forecast
from nervure.learn.dataset import Dataset, build
from nervure.learn.own.ask import Asked, Rejected
from nervure.learn.own.plan import Plan, Step, dropped, grid, lengths, parts, resampled, step_of
from nervure.learn.own.reading import MOST_REJECTED, Readings, read_file
from nervure.learn.own.remark import bounds, coarse, stuck
from nervure.learn.own.screen import beyond
from nervure.learn.reader.rows import Rows
from nervure.learn.split import Split, by_time
from nervure.solutions import names as solution_names

__all__ = ["Own", "open_own", "slug"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_CELLS = 15_000_000  # slots times streams of a table: a training takes some 700 MB with so many


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """A data set made from a file, with its split, and what to tell about it.

    ``dropped`` says of each series left out why; ``rejected`` are the cells that could not be used.
    ``rows`` counts the rows of the file, ``empty`` its cells without a reading.
    """

    dataset: Dataset
    split: Split
    step: Step
    rows: int
    empty: int
    rejected: tuple[Rejected, ...]
    dropped: dict[str, str]
    notes: tuple[str, ...]

    @property
    def solution(self) -> Solution:
        """The solution derived from the file."""
        return self.dataset.solution


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """The series kept, the slots kept (from ``first``, ``height`` of them), and the plan for them."""

    kept: tuple[int, ...]
    first: int
    height: int
    plan: Plan
    bound: tuple[float | None, float | None]
    dropped: dict[str, str]
    notes: tuple[str, ...]


def open_own(asked: Asked) -> Own:
    """Read a file, choose what was left open, and build the data set to learn from.

    Raises ``DataError`` with column, line and value where the file cannot be used, and says how many
    readings are needed where there are too few.
    """
    _known_country(asked)
    readings = read_file(asked)
    if np.isnan(readings.value[:, 0]).all():
        raise DataError(
            f"column {readings.columns.target!r} holds no reading in any of {readings.rows:,} rows",
            where=str(asked.file),
            hint="name another: --target COLUMN",
        )
    step = step_of(readings, asked)
    place, slot, value = resampled(readings, step)
    sums = _summed(asked, value)
    made = _choose(readings, asked, step, place, slot, value[:, 0])
    zone, said = _zone(readings, asked)
    solution = _solution(readings, asked, step, made, zone)
    rows = _rows(solution, readings, made, (place, slot, value))
    dataset = build(solution, rows, origin=str(asked.file))
    notes = (*readings.notes, *step.notes, *said, *sums, *made.notes)
    return Own(
        dataset=dataset,
        split=by_time((0, *made.plan.cuts, made.height)),
        step=step,
        rows=readings.rows,
        empty=readings.empty,
        rejected=readings.rejected,
        dropped=made.dropped,
        notes=notes,
    )


def _known_country(asked: Asked) -> None:
    """Refuse a country of which no holidays are known before anything is read."""
    if asked.country is None:
        return
    try:
        calendar("UTC", asked.country, DAY_NS, 0, 1)
    except (DeclarationError, KeyError) as cause:
        raise UsageError(
            f"--country {asked.country}: no public holidays are known for it",
            hint="use ISO 3166: IT, US-CA; or leave --country out",
        ) from cause


def _summed(asked: Asked, value: Floats) -> tuple[str, ...]:
    """Take sums out of ``value`` that are out of bounds, and say so; of one reading bounds say nothing."""
    if asked.resample != "sum":
        return ()
    some, notes = int((~np.isnan(value[:, 0])).sum()), []
    for reason, rows in beyond(value[:, 0], asked).items():
        if len(rows) > MOST_REJECTED * some:
            raise DataError(
                f"{len(rows):,} of {some:,} sums cannot be used: a sum {reason}, such as"
                f" {value[rows[0], 0]:g}",
                where=str(asked.file),
                hint="--low and --high are of the sums of a step",
            )
        notes.append(f"{len(rows):,} sums ({value[rows[0], 0]:g}, say) are left out: each {reason}")
        value[rows, 0] = np.nan
    return tuple(notes)


def _choose(readings: Readings, asked: Asked, step: Step, place: Longs, slot: Longs, target: Floats) -> _Made:
    """Choose the series and the slots that are learned from, and the parts in time."""
    horizon, window = lengths(asked, step.every_ns)
    notes: list[str] = []
    if asked.horizon is None:
        notes.append(f"the horizon is {duration_text(horizon * step.every_ns)}")
    place, slot, target = _trim(place, slot, target, len(readings.signals), step, notes)
    first, table = grid(place, slot, target, len(readings.series))
    kept = np.arange(len(readings.series))
    why: dict[str, str] = {}
    while True:
        known = (~np.isnan(table[:, kept])).sum(axis=1)
        rows = np.flatnonzero(known)
        low, high = int(rows[0]), int(rows[-1]) + 1
        plan = parts(known[low:high], horizon, window, step.every_ns, str(asked.file))
        names = tuple(readings.series[one] for one in kept)
        found = dropped(table[low:high][:, kept], names, plan, first + low, step.every_ns)
        why |= found
        if not found:
            break
        kept = kept[[name not in found for name in names]]
        if not len(kept):
            raise _none_left(readings, why, str(asked.file))
    table, test = table[low:high][:, kept], plan.cuts[1]
    least, most, said = bounds(asked, table)
    notes += (*said, *stuck(table[test:], names, first + low + test, step.every_ns), *coarse(table, names))
    return _Made(
        kept=tuple(kept.tolist()), first=first + low, height=high - low, plan=plan, dropped=why,
        bound=(least, most), notes=tuple(notes),
    )  # fmt: skip


def _none_left(readings: Readings, why: dict[str, str], where: str) -> DataError:
    name, reason = next(iter(why.items()))
    return DataError(
        f"none of {len(readings.series)} series can be used; {name!r}: {reason}",
        where=where,
        hint="more readings are needed that differ, or a shorter --horizon and --window",
    )


def _trim(
    place: Longs, slot: Longs, target: Floats, signals: int, step: Step, notes: list[str]
) -> tuple[Longs, Longs, Floats]:
    """Leave the oldest slots out where the table would not fit into memory."""
    some = ~np.isnan(target)
    last = int(slot[some].max())
    height = last - int(slot[some].min()) + 1
    streams = (int(place.max()) + 1) * signals
    most = max(1, MOST_CELLS // streams)
    if height <= most:
        return place, slot, target
    newest = slot > last - most
    length = duration_text(most * step.every_ns)
    notes.append(f"{streams:,} streams of {height:,} slots are a lot: the newest {length} are learned from")
    return place[newest], slot[newest], target[newest]


def _zone(readings: Readings, asked: Asked) -> tuple[str, tuple[str, ...]]:
    """Return the zone of the calendar, and what to say of it."""
    if readings.days is not None:  # slots are of local days already
        return "UTC", (readings.days.says,) if readings.days.says else ()
    if asked.zone is None:
        said = "stamps do not say their zone and are taken for UTC; --zone Europe/Rome if they are local"
        return "UTC", (said,) if readings.naive else ()
    return asked.zone, ()


def _solution(readings: Readings, asked: Asked, step: Step, made: _Made, zone: str) -> Solution:
    """Derive the solution: a signal for each column, one forecast, a rule for streams that fall silent."""
    every, plan, columns = step.every_ns, made.plan, readings.columns
    named = dict(zip(readings.signals, _distinct([slug(one) for one in readings.signals]), strict=True))
    problem = Forecast(
        of=named[columns.target],
        horizon=duration_text(plan.horizon * every),
        window=duration_text(plan.window * every),
        past=tuple(named[one] for one in columns.past),
        future=tuple(named[one] for one in columns.future),
        calendar=asked.country,
    )
    silent = Rule(
        name="silent",
        when=f"silent > {_patience(3 * every)}",
        severity="warning",
        of=(problem.of,),
        say=f"No {columns.target.replace('{', '(').replace('}', ')')} from {{thing}} since {{since}}.",
    )
    shown = sorted({1, -(-plan.horizon // 4), -(-plan.horizon // 2), plan.horizon})
    report = tuple(duration_text(one * every) for one in shown)
    return validate(
        Solution(
            name=_name(asked),
            title=f"{columns.target} of {asked.file.name}",
            thing=columns.id or "series",
            signals=_signals(readings, asked, step, made, named),
            problems=(problem,),
            rules=(silent,),
            data=Source(folder="", layout="long", zone=zone, report_at=report, protocol="in time"),
        )
    )


def _signals(
    readings: Readings, asked: Asked, step: Step, made: _Made, named: dict[str, str]
) -> tuple[Signal, ...]:
    """Return the target's signal and those of the drivers; what is known ahead may come so much earlier."""
    columns, every = readings.columns, duration_text(step.every_ns)
    low, high = made.bound
    ahead = duration_text(min(2 * made.plan.horizon * step.every_ns, AHEAD_NS))
    unit, name = asked.unit or "1", named[columns.target]
    return (
        Signal(name=name, unit=unit, every=every, low=low, high=high, phenomenon=columns.target),
        *(
            Signal(
                name=named[one],
                unit="1",
                every=every,
                phenomenon=one,
                ahead=ahead if one in columns.future else None,
            )
            for one in columns.drivers
        ),
    )


def _patience(length_ns: int) -> str:
    """Return a time of at least a minute as rules write it: in whole seconds, and days, not weeks.

    >>> _patience(21 * DAY_NS), _patience(1_000_000)
    ('21d', '1min')
    """
    whole = max(60, -(-length_ns // SECOND_NS)) * SECOND_NS
    return f"{whole // DAY_NS}d" if whole % DAY_NS == 0 else duration_text(whole)


def _rows(solution: Solution, readings: Readings, made: _Made, cells: tuple[Longs, Longs, Floats]) -> Rows:
    """Return ``place``, ``slot``, ``value`` of the series and slots kept, as a reader would."""
    place, slot, value = cells
    every = solution.signals[0].every_ns
    back = np.full(len(readings.series), -1, dtype=np.int64)
    back[list(made.kept)] = np.arange(len(made.kept))
    inside = (back[place] >= 0) & (slot >= made.first) & (slot < made.first + made.height)
    place, slot, value = back[place[inside]], slot[inside], value[inside]
    signals = [signal.name for signal in solution.signals]
    things = [readings.series[one] for one in made.kept]
    if readings.columns.id is None:
        things = [solution.name]
    count = len(signals)
    return Rows(
        streams=tuple(f"{thing}/{signal}" for thing in things for signal in signals),
        column=(place[:, None] * count + np.arange(count)).ravel(),
        time=np.repeat(slot * every, count),
        value=value.ravel(),
    )


def slug(text: str) -> str:
    """Return a name for a signal or a solution: small letters, digits and _.

    >>> slug("Traffic Volume (veh/h)"), slug("PM2.5"), slug("значение")
    ('traffic_volume_veh_h', 'pm2_5', 'value')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40]
    return name if name[:1].isalpha() else f"v{name}" if name else "value"


def _distinct(names: list[str]) -> list[str]:
    """Number names that would be the same."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}_{number}"
        found.append(one)
    return found


def _name(asked: Asked) -> str:
    """Return the solution's name: the one asked for, or the file's."""
    if asked.name is not None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", asked.name) or asked.name in solution_names():
            raise DeclarationError(
                f"{asked.name!r} is no name for a new solution",
                hint="use small letters, digits and _, and none of: " + ", ".join(solution_names()),
            )
        return asked.name
    name = slug(asked.file.name.split(".")[0])
    return f"{name}_own" if name in solution_names() else name
