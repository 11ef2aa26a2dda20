"""Spark Structured Streaming: files as they come, windows in its keyed state, one micro-batch a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nervure.bench.speed.engines.seat import BEGIN_S, EVERY_S, WINDOW, Seat

__all__ = ["main"]

_FILES = 10
_MEMORY = "1g"


def main() -> None:
    """Start Spark on this machine, run it warm on a file, then give it the others."""
    from pyspark.sql import SparkSession

    seat = Seat.taken()
    with tempfile.TemporaryDirectory() as folder:
        source, drawer = Path(folder, "in"), Path(folder, "drawer")
        source.mkdir()
        _split(seat.folder / "warm.tsv", drawer / "warm", 1)
        _split(seat.folder / "messages.tsv", drawer / "job", _FILES)
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.driver.memory", _MEMORY)
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.session.timeZone", "UTC")
            .getOrCreate()
        )
        spark.sparkContext.setLogLevel("ERROR")
        query = _query(spark, seat, source, Path(folder, "positions"))
        (drawer / "warm").rename(source / "warm")
        query.processAllAvailable()
        seat.complete(warm=True)
        seat.ready()
        (drawer / "job").rename(source / "job")  # all files appear at once
        query.processAllAvailable()
        seat.complete()
        seat.done()
        query.stop()
        spark.stop()


def _split(file: Path, into: Path, files: int) -> None:
    """Write messages into files of as many each, a second apart, as Spark takes the oldest first."""
    into.mkdir(parents=True)
    lines = file.read_text("utf-8").splitlines(keepends=True)
    size = -(-len(lines) // files)
    for number in range(files):
        part = into / f"part{number:03}"
        part.write_text("".join(lines[number * size : (number + 1) * size]), "utf-8")
        os.utime(part, (BEGIN_S + number, BEGIN_S + number))


def _query(spark: Any, seat: Seat, source: Path, positions: Path) -> Any:
    """Decode in the JVM, group by sensor, keep the window of each in the state, score its part at once."""
    from pyspark.sql import functions as f

    lines = spark.readStream.format("text").option("maxFilesPerTrigger", 1).load(f"{source}/*")
    parts = f.split("value", "\t")
    message = f.from_json(parts[1], "result DOUBLE, phenomenonTime TIMESTAMP")
    moment = f.unix_timestamp(message["phenomenonTime"])
    read = lines.select(
        parts[0].alias("key"),
        ((moment - BEGIN_S) / EVERY_S).cast("int").alias("turn"),
        message["result"].alias("value"),
    )
    scored = read.groupBy("key").applyInPandasWithState(
        partial(_window, seat.folder.as_posix(), seat.file),
        "number LONG, score FLOAT",
        "held BINARY",
        "append",
        "NoTimeout",
    )
    started = scored.writeStream.format("noop").option("checkpointLocation", str(positions))
    return started.trigger(processingTime="0 seconds").start()


_SEATS: dict[str, Seat] = {}


def _window(folder: str, file: str, name: tuple[str], frames: Iterator[Any], state: Any) -> Iterator[Any]:
    """Take the readings of one sensor in one micro-batch."""
    import pandas as pd

    seat = _SEATS.setdefault(file, Seat(folder, file))
    whole = pd.concat(list(frames)).sort_values("turn")
    held = np.frombuffer(state.get[0], np.float32) if state.exists else np.zeros(0, np.float32)
    row = np.concatenate([held, whole["value"].to_numpy(np.float32)])
    state.update((row[-WINDOW + 1 :].tobytes(),))
    if len(row) < WINDOW:
        return
    windows = sliding_window_view(row, WINDOW)
    turns = whole["turn"].to_numpy()[-len(windows) :]
    numbers = np.array([seat.number(name[0], turn) for turn in turns.tolist()])
    seat.put(numbers, windows)
    yield pd.DataFrame({"number": numbers, "score": seat.scores[numbers]})


if __name__ == "__main__":
    main()
