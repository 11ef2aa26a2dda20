"""PyFlink: a folder of files as its source, a keyed process function with the window in its state."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nervure.bench.speed.engines.seat import WINDOW, Seat, decode

__all__ = ["main"]

_HELD = 10_000  # windows beside the function, as many as there are sensors and more; 1,000 as installed


def main() -> None:
    """Run the job on a cluster in one process, warm it on a file, then give it the messages."""
    seat = Seat.taken()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        job = _started(seat, source)

        def put(name: str) -> None:
            shutil.copy(seat.folder / name, Path(folder, name))
            Path(folder, name).rename(source / name)

        put("warm.tsv")
        seat.complete(warm=True)
        seat.ready()
        put("messages.tsv")
        seat.complete()
        seat.done()
        job.cancel().result()


def _started(seat: Seat, source: Path) -> Any:
    """Start the job: lines of whatever file comes into a folder, by key, through the windows."""
    from pyflink.common import Configuration, Duration, Types, WatermarkStrategy
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.datastream.connectors.file_system import FileSource, StreamFormat

    settings = Configuration()
    settings.set_string("python.execution-mode", seat.variant)
    settings.set_string("python.state.cache-size", str(_HELD))
    environment = StreamExecutionEnvironment.get_execution_environment(settings)
    environment.set_parallelism(1)
    files = (
        FileSource.for_record_stream_format(StreamFormat.text_line_format(), str(source))
        .monitor_continuously(Duration.of_millis(200))
        .build()
    )
    lines = environment.from_source(files, WatermarkStrategy.no_watermarks(), "messages")
    keyed = lines.map(
        lambda line: tuple(line.split("\t")), output_type=Types.TUPLE([Types.STRING(), Types.STRING()])
    ).key_by(lambda message: message[0], key_type=Types.STRING())
    scored = keyed.process(
        _windows(str(seat.folder), seat.file), output_type=Types.TUPLE([Types.LONG(), Types.FLOAT()])
    )
    scored.add_sink(_nowhere())
    return environment.execute_async("job")


def _nowhere() -> Any:
    """Return Flink's own sink that drops what it gets."""
    from pyflink.datastream.functions import SinkFunction
    from pyflink.java_gateway import get_gateway

    made: Any = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.legacy.DiscardingSink()
    return SinkFunction(made)


def _windows(folder: str, file: str) -> Any:
    from pyflink.common import Types
    from pyflink.datastream.functions import KeyedProcessFunction
    from pyflink.datastream.state import ValueStateDescriptor

    class Windows(KeyedProcessFunction):  # type: ignore[misc]  # PyFlink is not installed where this is checked
        """Keeps the last readings of a sensor and scores them at every message."""

        def open(self, context: Any) -> None:
            self._seat = Seat(folder, file)
            held = ValueStateDescriptor("held", Types.PICKLED_BYTE_ARRAY())
            self._held = context.get_state(held)

        def process_element(self, message: Any, _context: Any) -> Any:
            key, payload = message
            turn, value = decode(payload)
            held = (self._held.value() or b"")[-4 * (WINDOW - 1) :] + np.float32(value).tobytes()
            self._held.update(held)
            if len(held) == 4 * WINDOW:
                number = self._seat.number(key, turn)
                self._seat.put([number], np.frombuffer(held, np.float32)[None, :])
                yield number, float(self._seat.scores[number])

    return Windows()


if __name__ == "__main__":
    main()
