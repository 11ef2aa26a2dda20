"""Settings: defaults, then ``nervure.toml``, then ``NERVURE_*`` variables; each knows its origin.

``[nats] mqtt_port = 1883`` in the file is ``NERVURE_NATS_MQTT_PORT=1883`` in the environment. Three
variables stand outside that pattern: ``NERVURE_FOLDER`` sets ``data``; ``NERVURE_DATA``, the folder of
the real data sets, and ``NERVURE_TOKEN``, which a twin registers itself with, are no settings at all.
From the fields' own documentation ``docs/settings.md`` and a new ``nervure.toml`` are made.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.access import Access, Oidc, Tls
from nervure.core.error import SettingError
from nervure.core.notice import Notify
from nervure.core.scale import Scale

__all__ = [
    "TOKEN",
    "Access",
    "Broker",
    "Catalogue",
    "Http",
    "Limits",
    "Nats",
    "Notify",
    "Oidc",
    "Project",
    "Score",
    "Settings",
    "Store",
    "Tls",
    "Watched",
    "flat",
    "is_loopback",
    "load",
    "variable",
]

FILE = "nervure.toml"
PREFIX = "NERVURE_"
TOKEN = "NERVURE_TOKEN"  # noqa: S105 - the name of a variable
NO_SETTING = ("NERVURE_DATA", TOKEN)
_IN_FILE_ONLY = ("broker", "thing")
_LISTS = ("project.solutions", "tls.names", "notify.mail_to")


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this installation watches."""

    name: Annotated[str, Meta(min_length=1, description="What people call this installation.")] = "city"
    solutions: Annotated[
        tuple[str, ...], Meta(description="The solutions that run here; `nervure solutions` lists them.")
    ] = ("water",)


class Nats(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log and the MQTT door. With ``url`` an external cluster is used, else a child process.

    ``sync_s`` is how often the log is flushed to the platters: 0 means at every message. What is
    acknowledged always survives the death of a process; a power cut may take the last ``sync_s``.
    """

    url: Annotated[
        str | None,
        Meta(description="An external NATS server or cluster, `nats://host:4222`; none: our own child."),
    ] = None
    host: Annotated[str, Meta(description="The address our own server listens on; loopback only.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="The TCP port of the log.")] = 4222
    mqtt_host: Annotated[
        str, Meta(description="The address MQTT listens on; one that others reach needs `tls.on`.")
    ] = "127.0.0.1"
    mqtt_port: Annotated[int, Meta(ge=1, le=65535, description="The TCP port for MQTT devices.")] = 1883
    sync_s: Annotated[
        float, Meta(ge=0, description="How often the log is flushed to the platters; 0: at every message.")
    ] = 120.0
    max_payload_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 26, description="The largest message the server takes at all.")
    ] = 1 << 20
    max_store_gb: Annotated[
        float, Meta(gt=0, description="The most disk the log may take; then it refuses.")
    ] = 50.0


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When readings go from memory to the table, and how long they stay (0 days: forever)."""

    seal_rows: Annotated[
        int,
        Meta(ge=1, description="Readings held in memory before they are written; in a rush twice as many."),
    ] = 200_000
    seal_s: Annotated[float, Meta(gt=0, description="The longest a reading waits in memory.")] = 2.0
    compact_s: Annotated[float, Meta(gt=0, description="How often small files are merged.")] = 30.0
    keep_days: Annotated[int, Meta(ge=0, description="Days until readings are dropped; 0: never.")] = 0


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where entities, alerts and models are written down."""

    url: Annotated[str | None, Meta(description="`postgresql+psycopg://user@host/name`; none: file.")] = None


class Score(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Live scoring: the least time between two batches, and the largest batch."""

    min_interval_ms: Annotated[
        float, Meta(ge=0, description="The least time between two batches; 0: score what has arrived.")
    ] = 0.0
    batch: Annotated[int, Meta(ge=1, le=4096, description="The largest batch given to a model.")] = 64


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds on what a device may send; what goes over them is quarantined with its reason."""

    future_s: Annotated[float, Meta(ge=0, description="How far ahead of our clock a reading may be.")] = 600.0
    oldest: Annotated[
        str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="The oldest day a reading may be of.")
    ] = "1990-01-01"
    message_bytes: Annotated[int, Meta(ge=64, description="The largest message that is decoded.")] = 1 << 18
    pack: Annotated[int, Meta(ge=1, le=65_536, description="The most readings in one message.")] = 65_536
    depth: Annotated[int, Meta(ge=1, le=1000, description="The deepest nesting of a message.")] = 32
    per_device_s: Annotated[
        float, Meta(gt=0, description="Messages/s of one Datastream for long; over that MQTT disconnects.")
    ] = 5_000.0


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP listener."""

    host: Annotated[
        str, Meta(description="The address HTTP listens on; one that others reach needs `tls.on`.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="The TCP port of the HTTP API.")] = 8088


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A foreign MQTT broker to read from; there may be several, in the file only.

    ``topics`` maps topic filters to a Datastream's name, in which ``{1}`` is the first wildcard.
    """

    name: Annotated[str, Meta(min_length=1, description="Our name for it, in status and in logs.")]
    host: Annotated[str, Meta(min_length=1, description="Its address.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port.")] = 1883
    username: Annotated[str | None, Meta(description="The name to log in with; none: anonymous.")] = None
    password_file: Annotated[str | None, Meta(description="The file that holds the password.")] = None
    tls: Annotated[
        bool, Meta(description="Whether to speak TLS, checked against the system's authorities.")
    ] = False
    topics: Annotated[
        dict[str, str], Meta(description="Topic filter to Datastream name; `{1}` is the first wildcard.")
    ] = msgspec.field(default_factory=lambda: {"v1.1/+/Observations": "{1}"})


class Watched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Thing to watch; there may be several, in the file only.

    ``nervure up`` makes it and the Datastreams that its solution declares, if they are not there yet.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200, description="What the Thing is called.")]
    solution: Annotated[str, Meta(min_length=1, description="The solution that says what it senses.")]
    location: Annotated[
        tuple[float, float] | None, Meta(description="Where it is: longitude and latitude in WGS 84.")
    ] = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one node."""

    data: Annotated[
        str,
        Meta(min_length=1, description="The data folder; a relative one is below where the command is run."),
    ] = "nervure-data"
    project: Project = Project()
    nats: Nats = Nats()
    store: Store = Store()
    catalogue: Catalogue = Catalogue()
    score: Score = Score()
    scale: Scale = Scale()
    limits: Limits = Limits()
    http: Http = Http()
    access: Access = Access()
    tls: Tls = Tls()
    oidc: Oidc = Oidc()
    notify: Notify = Notify()
    broker: tuple[Broker, ...] = ()
    thing: tuple[Watched, ...] = ()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def catalogue_place(self) -> str | Path:
        """Where the catalogue is: the database of the settings, or a file in the data folder."""
        return self.catalogue.url or self.folder / "catalogue.db"


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    override: Mapping[str, Any] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Read the settings and, for each one that is not a default, where it came from.

    ``override`` maps dotted names (``nats.port``) to values and wins over everything. A name, type
    or value that is wrong raises ``SettingError`` with its place and where it was set.

    >>> settings, origin = load(environ={"NERVURE_NATS_PORT": "4333"})
    >>> settings.nats.port, origin["nats.port"]
    (4333, 'NERVURE_NATS_PORT')
    """
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    path = file or Path(FILE)
    if file is not None or path.exists():
        tree = _read(path)
        origin = {name: str(path) for name in _names(tree)}
    for name, text in sorted((os.environ if environ is None else environ).items()):
        dotted = _dotted(name)
        if dotted:
            _put(tree, dotted, text, name)
            origin[dotted] = name
    for dotted, value in (override or {}).items():
        if value is not None:
            _put(tree, dotted, value, "the command line")
            origin[dotted] = "the command line"
    settings = _convert(tree, origin, path)
    for dotted in ("nats.host", "nats.mqtt_host", "http.host"):
        _check_host(settings, dotted, origin.get(dotted, ""))
    _check_ports(settings, origin)
    return settings, origin


def is_loopback(host: str) -> bool:
    """Tell whether an address is reachable from this machine only.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def flat(settings: Settings) -> dict[str, Any]:
    """Return every setting by its dotted name; brokers and Things each as one list.

    >>> flat(Settings())["http.port"]
    8088
    """
    found: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(settings).items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    return found


def variable(dotted: str) -> str | None:
    """Return the environment variable of a setting, ``None`` for a broker's or a Thing's.

    >>> variable("nats.mqtt_port"), variable("data")
    ('NERVURE_NATS_MQTT_PORT', 'NERVURE_FOLDER')
    """
    if dotted.partition(".")[0] in _IN_FILE_ONLY:
        return None
    return PREFIX + ("FOLDER" if dotted == "data" else dotted.replace(".", "_").upper())


def _convert(tree: dict[str, Any], origin: Mapping[str, str], path: Path) -> Settings:
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as cause:
        what, _, where = str(cause).partition(" - at ")
        place = where.strip("`")
        came = _came(origin, place.removeprefix("$").removeprefix("."), what, str(path))
        raise SettingError(
            f"settings: {what}",
            where=f"{came} {place}".strip(),
            hint="see docs/settings.md for every setting",
        ) from cause


def _check_host(settings: Settings, dotted: str, came: str) -> None:
    """Let nobody listen where others reach, but for HTTP and MQTT with sign-in and TLS."""
    host = flat(settings)[dotted]
    if is_loopback(host):
        return
    where = f"{came} $.{dotted}".strip()
    if dotted == "nats.host":
        raise SettingError(
            f"settings: nats.host may only be this machine, not {host!r}",
            where=where,
            hint="use 127.0.0.1; devices come by nats.mqtt_host",
        )
    if settings.access.open:
        raise SettingError(
            f"settings: an open node may only listen on this machine, not on {host!r}",
            where=where,
            hint="use 127.0.0.1, or leave out --open",
        )
    if not settings.tls.on:
        raise SettingError(
            f"settings: others can reach {host!r}, where secrets would pass in the clear",
            where=where,
            hint="set tls.on = true, or use 127.0.0.1",
        )


def _check_ports(settings: Settings, origin: Mapping[str, str]) -> None:
    taken: dict[int, str] = {}
    for name in ("nats.port", "nats.mqtt_port", "http.port"):
        port = flat(settings)[name]
        other = taken.setdefault(port, name)
        if other != name:
            came = origin.get(name) or origin.get(other, "")
            raise SettingError(
                f"settings: {other} and {name} are both {port}",
                where=came or None,
                hint="give each its own port",
            )


def _came(origin: Mapping[str, str], place: str, what: str, path: str) -> str:
    """Find who set the thing at ``place``; an unknown field is named in the message only."""
    field = what.rpartition("unknown field ")[2].strip("`") if "unknown field" in what else ""
    full = ".".join(part for part in (place, field) if part)
    return origin.get(full) or origin.get(full.partition("[")[0]) or path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as cause:
        raise SettingError(
            f"cannot read {path}: {cause.strerror}", hint="nervure new project writes one"
        ) from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise SettingError(f"not TOML: {cause}", where=str(path)) from cause


def _names(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            found += _names(value, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


def _dotted(name: str) -> str | None:
    """Map ``NERVURE_NATS_MQTT_PORT`` to ``nats.mqtt_port``; a name that is nothing is an error."""
    if not name.startswith(PREFIX) or name in NO_SETTING:
        return None
    known = {one: dotted for dotted in flat(Settings()) if (one := variable(dotted))}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, [*known, *NO_SETTING], 1)
    raise SettingError(
        f"settings: {name} is no setting",
        where="the environment",
        hint=f"did you mean {close[0]}?" if close else "see docs/settings.md for every setting",
    )


def _put(tree: dict[str, Any], dotted: str, value: Any, came: str) -> None:
    *path, last = dotted.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise SettingError(f"settings: {part} is a section, not a value", where=came)
    if isinstance(value, str) and dotted in _LISTS:
        value = [one.strip() for one in value.split(",") if one.strip()]
    tree[last] = value
