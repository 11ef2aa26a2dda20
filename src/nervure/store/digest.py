"""The digest: what is newest of each Datastream up to a log position, kept in a file beside the table.

With it a store of a billion readings opens by looking only at what came since. It is checked
against the table's own row counts and thrown away at the first doubt: it saves time, no more.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nervure.core.observation import observation_id
from nervure.store.latest import Latest, Summary
from nervure.store.look import View, summary

__all__ = ["SPARE_ROWS", "Digest", "digest", "forget", "load", "save"]

SPARE_ROWS = 1_000_000
"""A digest is written anew when so many rows have come since."""

_NAME = "_digest.parquet"
_POSITION = b"nervure.position"


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """What is newest of each Datastream among the rows up to a log position."""

    position: int
    summary: Summary

    @property
    def rows(self) -> int:
        """How many rows it stands for."""
        return int(self.summary.rows.sum())


def digest(view: View, position: int, old: Digest | None = None) -> Digest:
    """Digest the files of a view up to their position, from an older digest if it fits."""
    if old is not None and old.position <= position:
        latest = Latest.of(old.summary)
        since = observation_id(old.position + 1)
        latest.absorb(summary(view, f"id >= {since}", since=since))
        found = Digest(position=position, summary=latest.summary())
        if view.shelf is not None and found.rows == int(view.shelf.rows.sum()):
            return found
    return Digest(position=position, summary=summary(view))


def load(folder: Path) -> Digest | None:
    """Read the digest, or None where there is none that can be trusted."""
    try:
        found = pq.read_table(folder / _NAME, page_checksum_verification=True)
        position = int(found.schema.metadata[_POSITION])
        columns = {name: found[name].to_numpy() for name in Summary.__struct_fields__}
    except Exception:  # noqa: BLE001 - whatever a broken or missing file makes the reader say
        return None
    return Digest(position=position, summary=Summary(**columns))


def save(folder: Path, found: Digest) -> None:
    """Write the digest; a disk that does not take it costs time at the next start, nothing else."""
    columns = {name: np.asarray(getattr(found.summary, name)) for name in Summary.__struct_fields__}
    table = pa.table(columns).replace_schema_metadata({_POSITION: str(found.position)})
    fresh = folder / f"{_NAME}.new"
    with contextlib.suppress(OSError, pa.ArrowException):
        pq.write_table(table, fresh, write_page_checksum=True)
        fresh.replace(folder / _NAME)


def forget(folder: Path) -> None:
    """Delete the digest, before rows that it stands for are changed."""
    (folder / _NAME).unlink(missing_ok=True)
