"""Gone: Observations that were deleted or replaced, and still lie in files until the next seal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.observation import Batch, observation_id

__all__ = ["NOTHING", "TABLE", "Gone"]

TABLE = "gone"
"""The name under which :meth:`Gone.table` is known to queries."""


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows in the files are no more, each with the log position of the event that says so.

    ``datastreams`` and ``features`` mean the rows that were there at that position: a later
    Observation of the same Datastream stays.
    """

    ids: dict[int, int] = {}
    datastreams: dict[int, int] = {}
    features: dict[int, int] = {}

    @classmethod
    def of(
        cls,
        *,
        ids: Sequence[int] = (),
        datastreams: Sequence[int] = (),
        features: Sequence[int] = (),
        position: int,
    ) -> Gone:
        """Return what one event at ``position`` takes away."""
        return cls(
            ids=dict.fromkeys(map(int, ids), position),
            datastreams=dict.fromkeys(map(int, datastreams), position),
            features=dict.fromkeys(map(int, features), position),
        )

    def __bool__(self) -> bool:
        return bool(self.ids or self.datastreams or self.features)

    def also(self, later: Gone) -> Gone:
        """Return both, of which the other is the later one."""
        return Gone(
            ids=self.ids | later.ids,
            datastreams=self.datastreams | later.datastreams,
            features=self.features | later.features,
        )

    def after(self, position: int) -> Gone:
        """Return what events after a log position took away."""
        kept = {
            name: {key: at for key, at in getattr(self, name).items() if at > position}
            for name in self.__struct_fields__
        }
        return Gone(**kept)

    def mask(self, batch: Batch) -> NDArray[np.bool_]:
        """Tell of rows that were all there before which ones go ``[row]``."""
        found = np.isin(batch.id, list(self.ids)) | np.isin(batch.datastream, list(self.datastreams))
        if batch.feature is not None and self.features:
            found |= np.isin(batch.feature, list(self.features))
        return found

    def rows(self, table: pa.Table) -> NDArray[np.bool_]:
        """Tell of rows of a file which ones are gone ``[row]``; ``table`` has the file's columns."""
        identity = table["id"].to_numpy()
        found = np.isin(identity, list(self.ids))
        for name, keys in (("datastream", self.datastreams), ("feature", self.features)):
            if keys and name in table.column_names:
                column = table[name].fill_null(0).to_numpy()
                for key, at in keys.items():
                    found |= (column == key) & (identity < observation_id(at))
        return found

    def table(self) -> pa.Table:
        """Return the ids, sorted, for queries to look into."""
        return pa.table({"id": pa.array(sorted(self.ids), pa.int64())})

    def condition(self) -> str:
        """Write "this row of a file is gone" as SQL that is never null."""
        parts = ["false"]
        if self.ids:
            lowest, highest = min(self.ids), max(self.ids)
            parts.append(f"(id BETWEEN {lowest} AND {highest} AND id IN (SELECT id FROM {TABLE}))")  # noqa: S608
        parts += [
            f"(datastream = {key} AND id < {observation_id(at)})" for key, at in self.datastreams.items()
        ]
        parts += [
            f"(coalesce(feature, 0) = {key} AND id < {observation_id(at)})"
            for key, at in self.features.items()
        ]
        return f"({' OR '.join(parts)})"


NOTHING = Gone()
