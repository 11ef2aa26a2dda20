"""``nervure up``: the platform in the foreground."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, table, write_json, write_line
from nervure.core.settings import Settings, flat, variable

__all__ = ["up"]


def up(
    *,
    settings: File = None,
    change: Change = (),
    origin: Annotated[
        bool, Parameter(help="Show every setting and where it comes from, and start nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Run the platform until it is stopped with Ctrl+C, SIGTERM or nervure down.

    It listens on this machine only: MQTT for devices, HTTP for SensorThings, health and metrics.
    Settings come from nervure.toml, then NERVURE_* variables, then --set.
    """
    loaded, came = read(settings, change)
    if origin:
        return _origin(loaded, came, json=json)
    from nervure.cli.process import claim

    address = f"http://{_bracketed(loaded.http.host)}:{loaded.http.port}"
    with claim(loaded.folder, address) as running:
        from nervure.cli.declare import declare
        from nervure.node.compose import run

        declare(loaded)
        mqtt = loaded.nats.url or f"mqtt://{_bracketed(loaded.nats.host)}:{loaded.nats.mqtt_port}"
        if json:
            write_line(
                {"pid": running.pid, "http": address, "mqtt": mqtt, "data": str(loaded.folder.resolve())}
            )
        else:
            say(f"{loaded.project.name}: {', '.join(loaded.project.solutions)}")
            say(f"  http   {address}/v1.1\n  mqtt   {mqtt}\n  data   {loaded.folder.resolve()}")
            say("Stop with Ctrl+C or: nervure down")
        run(loaded)
    return 0


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
