"""``nervure up``: the platform in the foreground."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from nervure.cli.lean import lean
from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, table, write_json, write_line
from nervure.core.error import EnvironmentMissing, UsageError
from nervure.core.port import take
from nervure.core.settings import Settings, flat, variable

__all__ = ["up"]

_taken: list[Any] = []
"""What keeps the ports of this process from being chosen by others before it listens on them."""
_PORTS = {"http.port": "http.host", "nats.port": "nats.host", "nats.mqtt_port": "nats.mqtt_host"}


def up(
    *,
    open_: Annotated[
        bool, Parameter(name="--open", help="Serve without sign-in, on this machine only: for trying out.")
    ] = False,
    http: Annotated[
        str | None, Parameter(help="Where HTTP listens, as HOST:PORT; the same as two --set.")
    ] = None,
    data: Annotated[Path | None, Parameter(help="The data folder; the same as --set data=…")] = None,
    settings: File = None,
    change: Change = (),
    origin: Annotated[
        bool, Parameter(help="Show every setting and where it comes from, and start nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Run the platform until it is stopped with Ctrl+C, SIGTERM or nervure down.

    MQTT is for devices, HTTP for SensorThings, health and metrics. Settings come from nervure.toml,
    then NERVURE_* variables, then --set. With --open, ports that nobody has set and that are taken
    are replaced by free ones, so that several nodes can run side by side.
    """
    lean()  # before the first array
    loaded, came = read(settings, changes := (*change, *_changes(http, data, open_=open_)))
    if loaded.access.open and (free := _free(loaded, came)):
        loaded, came = read(settings, changes := (*changes, *free))
    if origin:
        return _origin(loaded, came, json=json)
    from nervure.cli.process import claim

    address = f"{'https' if loaded.tls.on else 'http'}://{_bracketed(loaded.http.host)}:{loaded.http.port}"
    with claim(loaded.folder, address) as running:
        from nervure.cli.declare import declare
        from nervure.cli.doctor import examine
        from nervure.node.run import run

        declare(loaded)
        _greet(loaded, address, running.pid, json=json)
        run(loaded, lambda: examine(settings, changes))
    return 0


def _greet(loaded: Settings, address: str, pid: int, *, json: bool) -> None:
    """Say where it answers, and once the password of the first user, if there was none before."""
    from nervure.cli.user import first_admin

    password = first_admin(loaded)
    ours = f"{_bracketed(loaded.nats.mqtt_host)}:{loaded.nats.mqtt_port}"
    mqtt = loaded.nats.url or f"{'mqtts' if loaded.tls.on else 'mqtt'}://{ours}"
    if json:
        about = {"pid": pid, "http": address, "mqtt": mqtt, "data": str(loaded.folder.resolve())}
        write_line(about if password is None else about | {"admin": password})
        return
    say(f"{loaded.project.name}: {', '.join(loaded.project.solutions)}")
    say(f"  console  {address}/\n  http     {address}/v1.1")
    say(f"  mqtt     {mqtt}\n  data     {loaded.folder.resolve()}")
    if password is not None:
        say(f"The first user is admin, with the password {password}\nIt is shown this once; keep it.")
    say("Stop with Ctrl+C or: nervure down")


def _changes(http: str | None, data: Path | None, *, open_: bool) -> list[str]:
    """Return the settings that the options stand for."""
    found = ["access.open=true"] if open_ else []
    if data is not None:
        found.append(f"data={data}")
    if http is not None:
        said = re.fullmatch(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]+):|:)?(?P<port>\d{1,5})", http.strip())
        if said is None:
            raise UsageError(f"--http cannot read {http!r}", hint="write --http 127.0.0.1:8088")
        if said["host"]:
            found.append(f"http.host={said['host'].strip('[]')}")
        found.append(f"http.port={said['port']}")
    return found


def _free(loaded: Settings, came: dict[str, str]) -> list[str]:
    """Return other ports for those that nobody has set and that are taken."""
    values: dict[str, Any] = flat(loaded)
    found: list[str] = []
    used: set[int] = {values[name] for name in _PORTS if name in came}
    for name, host in _PORTS.items():
        if name in came or (name.startswith("nats.") and loaded.nats.url is not None):
            continue
        port = values[name]
        if port in used or not _takes(values[host], port):
            port = _some_port(values[host], used)
            found.append(f"{name}={port}")
        used.add(port)
    return found


def _takes(host: str, port: int) -> bool:
    """Take a port if it is free: another node that begins now shall choose another one."""
    with contextlib.suppress(OSError):
        _taken.append(take(host, port, again=True))
        return True
    return False


def _some_port(host: str, used: set[int]) -> int:
    """Return a free port below those that the system gives to outgoing connections."""
    start = random.randint(14_000, 30_000)  # two that start at once should not choose the same
    ports: list[int] = [*range(start, 31_000), *range(14_000, start)]
    for port in ports:
        if port not in used and _takes(host, port):
            return port
    raise EnvironmentMissing(f"no port on {host} is free")


def _origin(loaded: Settings, came: dict[str, str], *, json: bool) -> int:
    rows: list[tuple[str, Any, str, str]] = [
        (name, value, came.get(name, "default"), variable(name) or "") for name, value in flat(loaded).items()
    ]
    if json:
        write_json({name: {"value": value, "origin": origin} for name, value, origin, _ in rows})
    else:
        table(("setting", "value", "from", "variable"), [(one[0], _plain(one[1]), *one[2:]) for one in rows])
    return 0


def _plain(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(str(one) for one in value) or "none"
        case _:
            return str(value)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
