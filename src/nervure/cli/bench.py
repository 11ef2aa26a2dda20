"""``nervure bench``: speed beside peers, measured in one run; a file each, loaded when it is asked for."""

from __future__ import annotations

from cyclopts import App

__all__ = ["bench"]

_COMMANDS = {
    "stream": "Readings by MQTT beside bare subscribers.",
    "latency": "From sensor to decision, at several rates.",
    "scale": "The stream scored by 1, 2 and 4 workers.",
    "soak": "Hours at half load, and what grows meanwhile.",
    "store": "Rows beside DuckDB, PostgreSQL, plain Parquet and plain Delta.",
    "engines": "The same keyed, windowed ONNX job on other stream engines.",
    "faults": "What breaks, and what becomes of what was acknowledged.",
    "console": "The web console on a city of 10,000 sensors, in a real browser.",
    "safety": "Hostile commands, a hostile wire, a platform that is killed.",
    "http": "Requests beside FastAPI, pydantic and SQLite.",
}

bench = App(name="bench", help="Measure speed beside peers, in one run.")
for _name, _help in _COMMANDS.items():
    bench.command(f"nervure.cli.bench_{_name}:{_name}", name=_name, help=_help)
