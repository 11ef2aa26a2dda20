"""Preparation ``metro``: counts of a metro without time stamps, put on the days they are of.

The files hold a column a station and a row for each running step of the operating hours of 25
consecutive weekdays, 05:00 to 23:00. The first row of a day is the step that starts at 05:00.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.learn.reader.rows import read_arrow

__all__ = ["prepare"]

# The files tell no date. The paper (doi 10.1109/TITS.2020.3000761) says: 05:00 to 23:00, the 25 working
# days of the five weeks from 29 February to 3 April 2016. The counts fit: every fifth day is the fullest,
# as a Friday is, the last among them.
_FIRST = np.datetime64("2016-02-29", "ns").astype(np.int64)
_DAYS, _WEEK, _OPEN, _HOURS = 25, 5, 5, 18


def prepare(paths: list[Path]) -> pa.Table:
    """Return a wide table: ``timestamp`` in local time, and a column ``FILE STATION`` for each count.

    Raises ``DataError`` where rows do not fill the days, or files are not of the same steps.
    """
    tables = {path.stem.split("_")[0]: read_arrow(path) for path in paths}
    rows = {table.num_rows for table in tables.values()}
    if len(rows) != 1 or (count := rows.pop()) % _DAYS:
        raise DataError(
            f"the files do not hold the same whole steps of {_DAYS} days", where=str(paths[0].parent)
        )
    per_day = count // _DAYS
    every = _HOURS * HOUR_NS // per_day
    step = np.arange(count, dtype=np.int64)
    day = step // per_day
    date = day // _WEEK * 7 + day % _WEEK
    time = _FIRST + date * DAY_NS + _OPEN * HOUR_NS + step % per_day * every
    columns = {
        f"{kind} {station}": table.column(station)
        for kind, table in tables.items()
        for station in table.column_names
    }
    return pa.table({"timestamp": pa.array(time, pa.timestamp("ns")), **columns})
