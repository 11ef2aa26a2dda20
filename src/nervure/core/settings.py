"""Settings: defaults, then ``nervure.toml``, then ``NERVURE_*`` variables; each knows its origin.

``[nats] mqtt_port = 1883`` in the file is ``NERVURE_NATS_MQTT_PORT=1883`` in the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nervure.core.error import SettingError

__all__ = ["Broker", "Http", "Limits", "Nats", "Notify", "Project", "Score", "Settings", "Store", "load"]


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this installation watches."""

    name: str = "city"
    solutions: tuple[str, ...] = ("water",)


class Nats(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log and the MQTT door. With ``url`` an external cluster is used, else a child process.

    ``sync_s`` is how often the log is flushed to the platters: 0 means at every message. What is
    acknowledged always survives the death of a process; a power cut may take the last ``sync_s``.
    """

    url: str | None = None
    host: str = "127.0.0.1"
    port: int = 4222
    mqtt_port: int = 1883
    sync_s: float = 120.0
    max_payload_bytes: int = 1 << 20
    max_store_gb: float = 50.0


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When readings go from memory to the table, and how long they stay (0 days: forever)."""

    seal_rows: int = 200_000
    seal_s: float = 2.0
    compact_s: float = 300.0
    keep_days: int = 0


class Score(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Live scoring: the least time between two batches, and the largest batch."""

    min_interval_ms: float = 0.0
    batch: int = 64


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds on what a device may send."""

    future_s: float = 600.0
    oldest: str = "1990-01-01"
    message_bytes: int = 1 << 18
    pack: int = 65_536
    depth: int = 32
    per_device_s: float = 5_000.0


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP listener."""

    host: str = "127.0.0.1"
    port: int = 8088


class Notify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts go besides MQTT."""

    webhook: str | None = None
    timeout_s: float = 5.0


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A foreign MQTT broker to read from.

    ``topics`` maps topic filters to a Datastream's name, in which ``{1}`` is the first wildcard.
    """

    name: str
    host: str
    port: int = 1883
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    topics: dict[str, str] = msgspec.field(
        default_factory=lambda: {"v1.1/Datastreams(+)/Observations": "{1}"}
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one node."""

    data: str = "nervure-data"
    project: Project = Project()
    nats: Nats = Nats()
    store: Store = Store()
    score: Score = Score()
    limits: Limits = Limits()
    http: Http = Http()
    notify: Notify = Notify()
    broker: tuple[Broker, ...] = ()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    override: Mapping[str, Any] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Read the settings and, for each one that is not a default, where it came from.

    ``override`` maps dotted names (``nats.port``) to values and wins over everything.

    >>> settings, origin = load(environ={"NERVURE_NATS_PORT": "4333"})
    >>> settings.nats.port, origin["nats.port"]
    (4333, 'NERVURE_NATS_PORT')
    """
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    path = file or Path("nervure.toml")
    if file is not None or path.exists():
        tree = _read(path)
        origin = {name: str(path) for name in _names(tree)}
    for name, text in (os.environ if environ is None else environ).items():
        dotted = _dotted(name)
        if dotted:
            _put(tree, dotted, text)
            origin[dotted] = name
    for dotted, value in (override or {}).items():
        if value is not None:
            _put(tree, dotted, value)
            origin[dotted] = "the command line"
    try:
        return msgspec.convert(tree, Settings, strict=False), origin
    except msgspec.ValidationError as cause:
        what, _, where = str(cause).partition(" - at ")
        place = where.strip("`")
        came = origin.get(place.removeprefix("$."), str(path))
        raise SettingError(
            f"settings: {what}", where=f"{came} {place}".strip(), hint="see docs/settings.md for every setting"
        ) from cause


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as cause:
        raise SettingError(f"cannot read {path}: {cause.strerror}", hint="nervure new project writes one") from cause
    except tomllib.TOMLDecodeError as cause:
        raise SettingError(f"not TOML: {cause}", where=str(path)) from cause


def _names(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            found += _names(value, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


def _dotted(variable: str) -> str | None:
    """Map ``NERVURE_NATS_MQTT_PORT`` to ``nats.mqtt_port``; the data sets' folder is no setting."""
    if not variable.startswith("NERVURE_") or variable == "NERVURE_DATA":
        return None
    name = variable.removeprefix("NERVURE_").lower()
    if name == "folder":
        return "data"
    for field in msgspec.structs.fields(Settings):
        section = f"{field.name}_"
        if name.startswith(section) and isinstance(field.default, msgspec.Struct):
            return f"{field.name}.{name.removeprefix(section)}"
    return None


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value
