"""Which column is which: those named, else those whose names are usual; errors that help to find them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

import msgspec

from nervure.core.error import DataError
from nervure.learn.own.ask import Asked
from nervure.learn.own.file import Head
from nervure.learn.own.heading import is_number, is_stamp
from nervure.learn.own.number import EMPTY, SWITCHES

__all__ = ["Columns", "choose", "find", "guess_id", "guess_time"]

_TIME = (
    "ds", "timestamp", "time", "datetime", "date_time", "date", "ts", "time_stamp", "measured_at",
    "observed_at", "phenomenontime", "resulttime", "observation_time", "period", "hour", "day", "data",
    "zeit", "datum", "fecha", "ora",
)  # fmt: skip
_ID = (
    "unique_id", "id", "sensor", "sensor_id", "series", "series_id", "station", "station_id", "device",
    "device_id", "item_id", "node", "node_id", "location", "location_id", "site", "site_id", "thing",
    "detector", "detector_id", "meter", "meter_id", "name", "stop", "stop_id",
)  # fmt: skip
_APART = frozenset(one for one in _ID if one.isalpha() and one not in ("id", "name", "stop", "location")) | {
    "tag", "channel", "signal", "variable", "parameter", "machine", "asset", "room", "building", "pump",
    "turbine", "engine", "bearing", "vehicle", "patient", "subject", "record",
}  # fmt: skip
_TARGET = (
    "y", "value", "target", "result", "reading", "val", "measurement", "values", "count", "demand",
    "load", "flow", "volume", "speed", "consumption", "cnt", "traffic_volume", "ot",
)  # fmt: skip

_STAMP = 8  # digits that a stamp has at least: 20240131, or seconds since 1973
_LONG = (
    "a column for each series is the wide format, and the long one is needed, a row for each time and"
    " series: pandas.read_csv(FILE).melt('ds', var_name='unique_id', value_name='y')"
)


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the columns to read; ``id`` is ``None`` where the file holds one series."""

    time: str
    id: str | None
    target: str
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def drivers(self) -> tuple[str, ...]:
        """The columns of drivers, each once."""
        return tuple(dict.fromkeys([*self.past, *self.future]))

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that is read."""
        ident = () if self.id is None else (self.id,)
        return (self.time, *ident, self.target, *self.drivers)


def choose(head: Head, asked: Asked) -> Columns:
    """Return the columns that were asked for, or the usual ones; what is missing is a ``DataError``."""
    notes: list[str] = []

    def one(option: str, named: str | None, usual: tuple[str, ...], word: str) -> str | None:
        if named is not None:
            return _find(head, option, named, usual)
        ways = {_TIME: guess_time, _ID: guess_id}
        found = ways[usual](head) if usual in ways else _guess(head.names, usual)
        if found is not None:
            notes.append(f"{word} is the column {found!r}")
        return found

    time = one("--time", asked.time, _TIME, "the time")
    ident = one("--id", asked.id, _ID, "what tells the series apart")
    target = one("--target", asked.target, _TARGET, "what is foreseen")
    drivers: dict[str, tuple[str, ...]] = {
        option: tuple(_find(head, option, name, ()) for name in names)
        for option, names in (("--past", asked.past), ("--future", asked.future))
    }
    if target is None:
        target = _only(head, {time, ident, *drivers["--past"], *drivers["--future"]}, notes)
    if time is None or target is None:
        option, word = ("--time", "the time") if time is None else ("--target", "what is to be foreseen")
        raise DataError(
            f"which column is {word}? The columns are {_listed(head.names)}",
            where=str(head.path),
            hint=f"name it: {option} COLUMN" + (f"; {_LONG}" if target is None and _wide(head) else ""),
        )
    _apart(head, {"--time": (time,), "--id": (ident,), "--target": (target,), **drivers})
    return Columns(
        time=time,
        id=ident,
        target=target,
        past=drivers["--past"],
        future=drivers["--future"],
        notes=tuple(notes),
    )


def find(head: Head, option: str, named: str) -> str:
    """Return the column of that name, or say in a ``DataError`` which there are."""
    return _find(head, option, named, ())


def guess_time(head: Head) -> str | None:
    """Return the column of time stamps: by its name if its first cell allows it, or by that cell."""
    found = _guess(head.names, _TIME)
    cells = dict(zip(head.names, head.first, strict=False))
    if found is not None and not (_small(cells.get(found, "")) and not _timely(found)):
        return found
    return next((name for name, cell in cells.items() if name and is_stamp(cell)), None)


def _small(cell: str) -> bool:
    """Tell whether a cell is a number that counts no seconds since 1970, and is no date without marks."""
    return is_number(cell) and len(cell.strip().lstrip("-").partition(".")[0]) < _STAMP


def _timely(name: str) -> bool:
    """Tell whether a name speaks of nothing but time: a count below it is a clock of its own."""
    plain = name.casefold()
    return plain in ("ds", "ts", "t") or "time" in plain or "stamp" in plain


def guess_id(head: Head) -> str | None:
    """Return the column that tells series apart: by its name, or by words in it and below it, or ``None``."""
    found = _guess(head.names, _ID)
    if found is not None:
        return found
    cells = zip(head.names, head.first, strict=False)
    likely = [name for name, cell in cells if _word(cell) and _told(name)]
    return likely[0] if len(likely) == 1 else None


def _word(cell: str) -> bool:
    """Tell whether a cell is a word that may be a name: no number, no date, no state of a switch."""
    states = {one for pair in SWITCHES for one in pair}
    plain = cell.casefold()
    return plain not in EMPTY and plain not in states and not is_number(cell) and not is_stamp(cell)


def _told(name: str) -> bool:
    """Tell whether a name of several words speaks of what readings come from: sensor_name, Meter No."""
    return not _APART.isdisjoint(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).casefold()))


def _find(head: Head, option: str, named: str, usual: tuple[str, ...]) -> str:
    """Return the column of that name; letter case may differ where that is not ambiguous."""
    if head.names.count(named) > 1:
        raise DataError(
            f"{head.names.count(named)} columns are called {named!r}",
            where=_at(head),
            hint="give each column a name of its own in the first line",
        )
    if named in head.names:
        return named
    same = [name for name in head.names if name.casefold() == named.strip().casefold()]
    if len(same) == 1:
        return same[0]
    folded = {name.casefold(): name for name in head.names}
    close = difflib.get_close_matches(named.casefold(), folded, 1, 0.5)
    likely = _guess(head.names, usual) or (folded[close[0]] if close else None)
    if option == "--id" and likely is None:
        raise _no_series(head, named)
    hint = f"perhaps {option} {_quoted(likely)}" if likely else f"name one of them: {option} COLUMN"
    if option == "--id":
        hint += "; leave --id out if the file holds one series"
    elif option == "--target" and likely is None and _wide(head):
        hint += f"; {_LONG}"
    if head.nameless or _looks_like_data(head.names):
        hint = _bare(head)
    raise _missing(head, option, named, hint)


def _missing(head: Head, option: str, named: str, hint: str) -> DataError:
    return DataError(
        f"there is no column {named!r} ({option}); the columns are {_listed(head.names)}",
        where=_at(head),
        hint=hint,
    )


def _no_series(head: Head, named: str) -> DataError:
    """Tell what to do where no column is likely to tell series apart."""
    hint = "leave --id out if the file holds one series, else name the column that tells them apart"
    if head.nameless or _looks_like_data(head.names):
        hint = _bare(head)
    elif _wide(head):
        hint = f"leave --id out if the file holds one series, and name its --target; {_LONG}"
    return _missing(head, "--id", named, hint)


def _bare(head: Head) -> str:
    first = head.line + head.nameless or 1
    return f"the first line must name the columns; here line {first} looks like readings"


def _wide(head: Head) -> bool:
    """Tell whether a file may have a column for each series: several besides the time, none usual."""
    return len(head.names) > 2 and _guess(head.names, _TARGET) is None


def _guess(names: tuple[str, ...], usual: tuple[str, ...]) -> str | None:
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(name.casefold().replace(" ", "_").replace("-", "_"), name)
    found = next((plain[one] for one in usual if one in plain), None)
    if found is None and usual is _TIME:
        timely = [name for key, name in plain.items() if "time" in key or "date" in key or "stamp" in key]
        return timely[0] if len(timely) == 1 else None
    return found


def _only(head: Head, taken: set[str | None], notes: list[str]) -> str | None:
    left = [name for name in head.names if name not in taken and name]
    if len(left) != 1:
        return None
    notes.append(f"what is foreseen is the column {left[0]!r}")
    return left[0]


def _apart(head: Head, roles: Mapping[str, Iterable[str | None]]) -> None:
    """See that no column serves as two things, apart from a driver of past and future."""
    owner: dict[str, str] = {}
    for option, names in roles.items():
        for name in names:
            if name is None or {owner.get(name), option} == {"--past", "--future"}:
                continue
            if name in owner:
                raise DataError(
                    f"the column {name!r} is meant by {owner[name]} and by {option}",
                    where=_at(head),
                    hint=f"the columns are {_listed(head.names)}",
                )
            owner[name] = option


def _looks_like_data(names: tuple[str, ...]) -> bool:
    return sum(name[:1].isdigit() for name in names) * 2 > len(names)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


def _at(head: Head) -> str:
    return f"{head.path}, line {head.line}" if head.line else str(head.path)
