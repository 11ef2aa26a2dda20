"""Cells to numbers: decimal points and commas, thousands, and the many ways to write nothing."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["EMPTY", "SWITCHES", "Numbers", "numbers", "switched"]

EMPTY = (
    "", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "-", "--", "---", "?", ".", "missing",
    "nat", "#n/d", "#value!", "#ref!", "#div/0!", "-nan", "-nan(ind)",
)  # fmt: skip
_CODES = (-999.0, -999.9, -9999.0, -9999.9, -99999.0)
_PLAIN = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_ENDLESS = r"^[+-]?(inf|infinity|1\.?#inf|∞)$"
_COMMA = r"^-?\d*,\d+([eE][+-]?\d+)?$"  # 12,5
# no thousands begin with 0: 0,782 is less than one
_POINTS_COMMA = r"^-?[1-9]\d{0,2}(\.\d{3})+,\d+$"  # 1.234,5
_POINTS = r"^-?[1-9]\d{0,2}(\.\d{3})+$"  # 1.234
_COMMAS = r"^-?[1-9]\d{0,2}(,\d{3})+$"  # 1,234
_COMMAS_POINT = r"^-?[1-9]\d{0,2}(,\d{3})+\.\d+$"  # 1,234.5
_POINT = r"^-?(\d+\.(\d{1,2}|\d{4,})|0\.\d+)$"  # 1.23, 0.782
_MINUS = "^[\u2212\u2013](\\d)"  # as typesetters write it
_SPACES = "[\u00a0\u202f\u2009 ']"

Style = Literal[".", ","]
SWITCHES = (
    ("false", "true"), ("off", "on"), ("no", "yes"), ("closed", "open"), ("stopped", "running"),
)  # fmt: skip


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers ``value [row]``, NaN where there is none; ``wrong[reason]`` are the rows it is true of.

    ``empty`` counts the cells that say there is no reading; ``notes`` is what a person should know.
    """

    value: NDArray[np.float64]
    wrong: dict[str, NDArray[np.int64]]
    empty: int
    notes: tuple[str, ...] = ()


def numbers(column: pa.Array, *, decimal: Style | None = None, separator: str = ",") -> Numbers:
    """Read a column of text or of numbers.

    Whether ``1,234`` is a thousand or a little more than one is told by the other cells; if they do
    not tell, by the ``separator`` of the file, and then said.

    >>> numbers(pa.array(["1,5", "", "-", "abc", "1.234,5"])).value.tolist()
    [1.5, nan, nan, nan, 1234.5]
    """
    if not pa.types.is_string(column.type):
        return _typed(column)
    text = pc.replace_substring_regex(pc.fill_null(column, ""), r"^\+", "")
    text = pc.replace_substring_regex(text, _MINUS, r"-\1")
    low = pc.utf8_lower(text)
    empty = pc.is_in(low, value_set=pa.array(EMPTY)).to_numpy(zero_copy_only=False)
    endless = _match(low, _ENDLESS)
    style, notes = _style(text, decimal, separator)
    text, good = _normal(text, style)
    value = np.full(len(text), np.nan)
    good &= ~empty
    value[good] = pc.cast(text.filter(pa.array(good)), pa.float64()).to_numpy(zero_copy_only=False)
    huge = np.isinf(value)
    value[huge] = np.nan
    reason = "is not a number"
    if style == ",":
        reason += " (the column is read with decimal commas)"
    wrong = {
        "is infinite": np.flatnonzero(endless | huge),
        reason: np.flatnonzero(~good & ~empty & ~endless),
    }
    return _coded(value, wrong, int(empty.sum()), notes)


def switched(column: pa.Array) -> tuple[Numbers, str] | None:
    """Read a column of two words, on and off, as 1 and 0, and say which is which; ``None`` if it is none.

    >>> switched(pa.array(["ON", "off", ""]))[0].value.tolist()
    [1.0, 0.0, nan]
    """
    if not pa.types.is_string(column.type):
        return None
    low = pc.utf8_lower(pc.fill_null(column, ""))
    words = set(pc.unique(low).to_pylist()) - set(EMPTY)
    pair = next((one for one in SWITCHES if words and words <= set(one)), None)
    if pair is None:
        return None
    value = np.full(len(column), np.nan)
    for number, word in enumerate(pair):
        value[pc.equal(low, word).to_numpy(zero_copy_only=False)] = number
    return Numbers(
        value=value, wrong={}, empty=int(np.isnan(value).sum())
    ), f"{pair[1]} is 1 and {pair[0]} is 0"


def _typed(column: pa.Array) -> Numbers:
    """Take a column that holds numbers already, or none at all."""
    if pa.types.is_null(column.type):
        return Numbers(value=np.full(len(column), np.nan), wrong={}, empty=len(column))
    try:
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        value = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        wrong = {f"is of the type {column.type}, not a number": np.arange(len(column))}
        return Numbers(value=np.full(len(column), np.nan), wrong=wrong, empty=0)
    endless = np.isinf(value)
    empty = int(np.isnan(value).sum())
    value[endless] = np.nan
    return _coded(value, {"is infinite": np.flatnonzero(endless)}, empty, ())


def _match(text: pa.Array, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
    return found.copy()


def _style(text: pa.Array, decimal: Style | None, separator: str) -> tuple[Style, tuple[str, ...]]:
    """Tell whether the comma or the point parts whole from fraction."""
    if decimal is not None:
        return decimal, ()
    if not pc.any(pc.match_substring(text, ",")).as_py():
        return ".", ()
    tight = pc.replace_substring_regex(text, _SPACES, "")
    comma = _match(tight, _COMMA) | _match(tight, _POINTS_COMMA)
    group = _match(tight, _COMMAS)
    sure_comma = int((comma & ~group).sum())
    pointed = _match(tight, _COMMAS_POINT) | _match(tight, _POINT)
    sure_point = int(pointed.sum())
    if sure_comma or sure_point:
        return ("," if sure_comma >= sure_point else "."), ()
    if not group.any():
        return ".", ()
    example = tight[int(np.argmax(group))].as_py()
    style: Style = "." if separator == "," else ","
    read = example.replace(",", "") if style == "." else example.replace(",", ".", 1)
    other = "," if style == "." else "."
    return style, (f"{example} is read as {read}; if that is wrong, say --decimal {other!r}",)


def _normal(text: pa.Array, style: Style) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Write cells with a decimal point and nothing else, and tell which of them are numbers then."""
    plain = _match(text, _PLAIN)
    if style == "." and plain.all():
        return text, plain
    tight = pc.replace_substring_regex(text, rf"(\d){_SPACES}(\d\d\d)", r"\1\2")
    tight = pc.replace_substring_regex(tight, rf"(\d){_SPACES}(\d\d\d)", r"\1\2")
    if style == ".":
        grouped = _match(tight, _COMMAS) | _match(tight, _COMMAS_POINT)
        bare = pc.if_else(pa.array(grouped), pc.replace_substring(tight, ",", ""), tight)
        return bare, _match(bare, _PLAIN)
    pointed = _match(tight, _POINTS_COMMA)
    dotted = _match(tight, r"^-?\d*\.\d*$") & ~_match(tight, r"^-?\d+$")
    points = _match(tight, _POINTS)
    thousands = bool(pointed.any()) or bool((dotted & ~points).sum() == 0)
    bare = pc.if_else(pa.array(pointed | (points & thousands)), pc.replace_substring(tight, ".", ""), tight)
    unsure = dotted & ~(points & thousands)  # a decimal point among decimal commas
    bare = pc.replace_substring(bare, ",", ".")
    return bare, _match(bare, _PLAIN) & ~unsure


def _coded(
    value: NDArray[np.float64], wrong: dict[str, NDArray[np.int64]], empty: int, notes: tuple[str, ...]
) -> Numbers:
    """Take -999 and its like for no reading, where every other reading is far above it."""
    for code in _CODES:
        hits = value == code
        if hits.any() and not (value[~hits] < code / 2).any() and not hits.all():
            value[hits] = np.nan
            empty += int(hits.sum())
            notes = (*notes, f"{code:g} ({int(hits.sum())} cells) is taken for no reading")
    return Numbers(
        value=value, wrong={why: rows for why, rows in wrong.items() if len(rows)}, empty=empty, notes=notes
    )
