from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nervure.core.entity import Datastream
from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.settings import Limits
from nervure.sense.file import Series, load, packs, read
from nervure.sense.intake import Intake
from nervure.stream.wire import Entries

STREAMS = (
    Datastream(id=1, name="A", unit="L/s", thing=1, solution="water"),
    Datastream(id=2, name="B", unit="L/s", thing=1, solution="water"),
)
NOON = 1_677_672_000 * SECOND_NS  # 2023-03-01T12:00:00Z


def resolve(name: str) -> int | None:
    return Intake(STREAMS, Limits()).named(name)


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_long_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "unique_id,ds,y\nB,2023-03-01 13:00:00,4\nA,2023-03-01 12:00:00,1.5\n"
        "B,2023-03-01 12:00:00,3\nA,2023-03-01 13:00:00,\n",
    )
    found = {one.name: one for one in read(path, resolve)}
    assert found["A"].datastream == 1
    assert found["A"].value.tolist() == [1.5]
    assert found["B"].time.tolist() == [NOON, NOON + HOUR_NS]
    assert found["B"].value.tolist() == [3.0, 4.0]


def test_a_wide_file_with_gaps_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(
        tmp_path, "\ufefftimestamp;A;2\n2023-03-01T12:00:00Z; 1 ;\n2023-03-01T14:00:00+01:00;NaN;7\n"
    )
    first, second = read(path, resolve)
    assert (first.time.tolist(), first.value.tolist()) == ([NOON], [1.0])
    assert (second.datastream, second.time.tolist()) == (2, [NOON + HOUR_NS])


def test_local_times_of_a_zone(tmp_path: Path) -> None:
    path = write(tmp_path, "time,A\n2023-03-01 13:00:00,1\n2023-07-01 14:00:00,2\n")
    (one,) = read(path, resolve, zone="Europe/Rome")
    assert one.time.tolist() == [NOON, 1_688_212_800 * SECOND_NS]


def test_parquet_long_and_wide(tmp_path: Path) -> None:
    stamps = pa.array([NOON, NOON + HOUR_NS], pa.timestamp("ns", "UTC"))
    wide = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"when": stamps, "A": [1, None], "B": [2.5, 3.5]}), wide)
    first, second = read(wide, resolve, time="when")
    assert first.value.tolist() == [1.0]
    assert second.value.tolist() == [2.5, 3.5]
    long = tmp_path / "long.parquet"
    pq.write_table(pa.table({"unique_id": ["A", "A"], "ds": stamps, "y": [1.0, 2.0]}), long)
    (one,) = read(long, resolve)
    assert one.time.tolist() == [NOON, NOON + HOUR_NS]


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("ds,A\n2023-03-01,1\n2023-03-02,abc\n", "'abc' in column 'A' is not a number", "column 'A' row 3"),
        ("ds,A\n2023-03-01,1\nsoon,2\n", "row 3 of data.csv: 'soon' is not a time", "column 'ds' row 3"),
        ("ds,A\n2023-03-01,1\n,2\n", "row 3 of data.csv has no time", "column 'ds'"),
        ("ds,Z\n2023-03-01,1\n", "data.csv speaks of 'Z', and there is no such Datastream", "column 'Z'"),
        ("a,b\n1,2\n", "data.csv has no column of times", "data.csv"),
        ("ds,A\n2023-03-01,1\n2023-03-02,1,2\n", "cannot read data.csv: CSV parse error: Row #3", "data.csv"),
        ("ds,A,A\n2023-03-01,1,2\n", "begins with no row of different column names", "row 1"),
        ("ds,A\n2023-03-01,inf\n", "the value in column 'A' is infinite", "row 2"),
        ("", "begins with no row", "row 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_column_and_row(tmp_path: Path, text: str, what: str, where: str) -> None:
    with pytest.raises(DataError) as found:
        read(write(tmp_path, text), resolve)
    assert what in found.value.what
    assert where in (found.value.where or "")


def test_other_things_that_are_no_file_of_readings(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    for path in (tmp_path / "x.parquet", tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError):
            read(path, resolve)
    (tmp_path / "latin.csv").write_bytes("ds,A\n2023-03-01,\xe4\n".encode("latin-1"))
    with pytest.raises(DataError):
        read(tmp_path / "latin.csv", resolve)
    with pytest.raises(DataError, match="lacks unique_id"):
        read(write(tmp_path, "ds,A\n2023-03-01,1\n"), resolve, layout="long")


def series(time: list[int], value: list[float]) -> Series:
    return Series(datastream=1, name="A", time=np.array(time, dtype=np.int64), value=np.array(value))


@pytest.mark.parametrize(
    "time",
    [
        [NOON + step * HOUR_NS for step in range(100)],
        [NOON + step * HOUR_NS for step in range(100) if step % 7],
        [NOON + step * step * SECOND_NS + step % 3 for step in range(100)],
        [NOON, NOON, NOON + SECOND_NS],
        [NOON],
        [631_152_000 * SECOND_NS, 631_152_000 * SECOND_NS + 1500],
        [],
    ],
)
@pytest.mark.parametrize("points", [7, 8192])
def test_packs_bring_every_reading_through_intake(time: list[int], points: int) -> None:
    value = [number / 3 for number in range(len(time))]
    messages = list(packs([series(time, value)], points=points))
    entries = Entries(
        sequence=list(range(1, len(messages) + 1)),
        subject=[subject for subject, _, _ in messages],
        payload=[payload for _, payload, _ in messages],
        received_ns=[NOON + 10 * 365 * 24 * HOUR_NS] * len(messages),
    )
    batch, rejects = Intake(STREAMS, Limits()).take(entries)
    assert rejects == []
    assert batch.time.tolist() == time
    assert batch.value.tolist() == value
    assert len({once for _, _, once in messages}) == len(messages)


def test_loading_publishes_all_and_tells_how_much() -> None:
    sent: list[tuple[str, bytes, str | None]] = []

    async def publish(subject: str, payload: bytes, *, once: str | None = None) -> int:
        await asyncio.sleep(0)
        sent.append((subject, payload, once))
        return len(sent)

    history = series(
        [NOON + step * HOUR_NS for step in range(30_000)], [float(step) for step in range(30_000)]
    )
    loaded = asyncio.run(load([history, series([], [])], publish, in_flight=2))
    assert (loaded.streams, loaded.readings, loaded.messages, loaded.sequence) == (2, 30_000, 4, 4)
    assert all(len(payload) < Limits().message_bytes for _, payload, _ in sent)
