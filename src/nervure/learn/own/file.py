"""Tables as people save them: CSV of any separator, encoding and compression, or Parquet.

Cells come as text with the number of their line, so that what is wrong can be found in an editor.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.own.ask import Rejected
from nervure.learn.own.heading import named, parted

__all__ = ["Head", "Sheet", "head", "read"]

_SEPARATORS = ",;\t|"
_CHUNK = 1 << 16  # rows held as Python text at a time
_BLOCK = 1 << 20
_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
_FOREIGN = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook: save the sheet as CSV",
    b"\x28\xb5\x2f\xfd": "is packed with zstd: unpack it",
}


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the start of a file tells: the names of its columns and how its text is written.

    ``line`` is the line of the header, 0 in Parquet; where there is none the file is ``nameless``, and it
    is the line before the first row.
    ``first`` are the cells of the first row. Where a date and a time of day stand in two columns, they
    are one here, by the name of the first; the second has none, and ``clock`` is where they are.
    """

    path: Path
    names: tuple[str, ...]
    separator: str = ","
    encoding: str = ""
    line: int = 0
    first: tuple[str, ...] = ()
    nameless: bool = False
    clock: tuple[int, int] | None = None

    @property
    def columnar(self) -> bool:
        """Whether the file is Parquet, which has rows and no lines."""
        return not self.encoding


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The columns asked for: ``columns[name] [row]`` of text (in Parquet: as they are), their lines.

    ``rejected`` are rows that do not fit the header; they are not among the others.
    """

    head: Head
    columns: dict[str, pa.Array]
    line: NDArray[np.int64]
    rejected: tuple[Rejected, ...] = ()


def head(path: Path, wanted: Sequence[str] = ()) -> Head:
    """Look at the start of a file; among separators the one wins that finds the ``wanted`` columns.

    Raises ``DataError`` for what is no table.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(8)
        for start, says in _FOREIGN.items():
            if magic.startswith(start):
                raise DataError(f"{path.name} {says}", where=str(path))
        if magic.startswith(b"PAR1"):
            return _columnar(path)
        encoding = _encoding(path)
        with _text(path, encoding) as text:
            return _header(path, encoding, text, wanted)
    except UnicodeError as cause:
        raise _cut_off(path, cause) from cause
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowInvalid) as cause:
        raise DataError(
            f"cannot read {path.name}: {getattr(cause, 'strerror', None) or cause}", where=str(path)
        ) from cause


def read(head: Head, wanted: Sequence[str]) -> Sheet:
    """Read the ``wanted`` columns, which the header has."""
    if head.columnar:
        table = pa.parquet.read_table(head.path, columns=list(dict.fromkeys(wanted)))
        columns = {name: _flat(table.column(name)) for name in wanted}
        return Sheet(head=head, columns=columns, line=np.arange(1, table.num_rows + 1, dtype=np.int64))
    try:
        with _text(head.path, head.encoding) as text:
            return _rows(head, text, list(dict.fromkeys(wanted)))
    except UnicodeError as cause:
        raise _cut_off(head.path, cause) from cause
    except (OSError, EOFError, lzma.LZMAError) as cause:
        raise DataError(f"cannot read {head.path.name} to its end: {cause}", where=str(head.path)) from cause


def _columnar(path: Path) -> Head:
    """Look at the columns and the first row of a Parquet file."""
    with pa.parquet.ParquetFile(path) as file:
        names = tuple(file.schema_arrow.names)
        batch = next(file.iter_batches(batch_size=1), None)
        row = batch.to_pylist()[0] if batch is not None and batch.num_rows else {}
    return Head(path=path, names=names, first=tuple(str(row.get(name, "")) for name in names))


def _cut_off(path: Path, cause: UnicodeError) -> DataError:
    return DataError(
        f"cannot read {path.name} to its end: {cause}",
        where=str(path),
        hint="it was perhaps cut off while it was copied; else save it as UTF-8",
    )


def _flat(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # Arrow leaves an empty one in chunks
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_decode()
    return whole.cast(pa.string()) if pa.types.is_large_string(whole.type) else whole


@contextmanager
def _bytes(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        magic = raw.read(8)
        raw.seek(0)
        opener = next((one for start, one in _OPENERS.items() if magic.startswith(start)), None)
        if opener is None:
            yield raw
            return
        with opener(raw) as unpacked:
            yield unpacked


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[IO[str]]:
    with _bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        yield text


def _encoding(path: Path) -> str:
    """Return how the text is encoded: UTF-8 (with or without a mark), UTF-16 by its mark, else Windows'."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _bytes(path) as raw:
        block = raw.read(_BLOCK)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while block:
                decoder.decode(block)
                block = raw.read(_BLOCK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def _header(path: Path, encoding: str, text: IO[str], wanted: Sequence[str]) -> Head:
    """Find the first line that is neither empty nor a remark, and cut it where it should be cut."""
    forced = None
    for number, line in enumerate(text, 1):
        bare = line.strip("\r\n\x00 ")
        if bare.lower().startswith("sep=") and len(bare) == 5:  # Excel's own remark
            forced = bare[4]
        elif bare and not bare.startswith("#"):
            found = {one: _cut(line, one) for one in (forced or _SEPARATORS)}
            best = max(found, key=lambda one: (_hits(found[one], wanted), len(found[one])))
            first = _cut(next((one for one in text if one.strip()), ""), best)
            start = Head(path=path, names=found[best], separator=best, encoding=encoding, line=number)
            return _judged(start, first, wanted)
    raise DataError(
        f"{path.name} is empty", where=str(path), hint="the first line names the columns: unique_id,ds,y"
    )


def _judged(start: Head, first: tuple[str, ...], wanted: Sequence[str]) -> Head:
    """Give columns without names some, and see whether stamps stand in two columns."""
    if not named(start.names):
        names = tuple(f"column {place}" for place in range(1, len(start.names) + 1))
        return msgspec.structs.replace(
            start, names=names, first=start.names, line=start.line - 1, nameless=True
        )
    clock = parted(start.names, first)
    if clock is None or start.names[clock[1]] in wanted:
        return msgspec.structs.replace(start, first=first)
    names = tuple("" if place == clock[1] else name for place, name in enumerate(start.names))
    return msgspec.structs.replace(start, names=names, first=first, clock=clock)


def _cut(line: str, separator: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in next(csv.reader([line.strip("\r\n")], delimiter=separator)))


def _hits(names: tuple[str, ...], wanted: Sequence[str]) -> int:
    return len({name.casefold() for name in names} & {name.casefold() for name in wanted})


def _rows(head: Head, text: IO[str], wanted: list[str]) -> Sheet:
    for _ in range(head.line):
        next(text)
    reader = csv.reader(text, delimiter=head.separator)
    places = [head.names.index(name) for name in wanted]
    kept: list[list[str]] = []
    lines: list[int] = []
    rejected: list[Rejected] = []
    chunks: list[list[pa.Array]] = [[] for _ in wanted]
    try:
        begun = head.line
        for row in reader:
            line, begun = begun + 1, head.line + reader.line_num
            if begun > line:
                _spans(head, row, places, line, begun)
            if len(row) != len(head.names) and not _mended(head, row, line, rejected):
                continue
            if any(row):
                kept.append(row)
                lines.append(line)
            if len(kept) >= _CHUNK:
                _store(kept, places, chunks, head.clock)
    except csv.Error as cause:
        raise DataError(
            f"the file cannot be cut into cells after line {begun}: {cause}",
            where=str(head.path),
            hint=f'a quotation mark (") that is opened at or after line {begun + 1} is perhaps never closed',
        ) from cause
    _store(kept, places, chunks, head.clock)
    columns = {name: pa.concat_arrays(chunk) for name, chunk in zip(wanted, chunks, strict=True)}
    return Sheet(head=head, columns=columns, line=np.array(lines, dtype=np.int64), rejected=tuple(rejected))


def _spans(head: Head, row: list[str], places: list[int], line: int, end: int) -> None:
    """Refuse a row over several lines where a quotation mark has swallowed what we need."""
    if len(row) < len(head.names) or any("\n" in row[place] or "\r" in row[place] for place in places):
        raise DataError(
            f'line {line}: a quotation mark (") is opened and not closed before line {end}',
            where=str(head.path),
            hint="take the quotation mark out, or close it in its line",
        )


def _mended(head: Head, row: list[str], line: int, rejected: list[Rejected]) -> bool:
    """Fill up a row that is too short, cut empty cells off one that is too long; else reject it."""
    width = len(head.names)
    if not any(cell.strip() for cell in row):
        return False  # an empty line
    if len(row) > width and any(cell.strip() for cell in row[width:]):
        reason = f"the row has {len(row)} cells and the header {width}"
        rejected.append(Rejected(line=line, column="", value=head.separator.join(row)[:200], reason=reason))
        return False
    row += [""] * (width - len(row))
    del row[width:]
    return True


def _store(
    kept: list[list[str]], places: list[int], chunks: list[list[Any]], clock: tuple[int, int] | None
) -> None:
    for place, chunk in zip(places, chunks, strict=True):
        cells = pc.utf8_trim_whitespace(pa.array([row[place] for row in kept], pa.string()))
        if clock is not None and place == clock[0]:
            beside = pc.utf8_trim_whitespace(pa.array([row[clock[1]] for row in kept], pa.string()))
            cells = pc.utf8_trim_whitespace(pc.binary_join_element_wise(cells, beside, " "))
        chunk.append(cells)
    kept.clear()
