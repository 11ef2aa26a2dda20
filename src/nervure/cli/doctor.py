"""``nervure doctor``: what is missing on this machine, one line each, with the fix."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, write_json
from nervure.core.error import NervureError
from nervure.core.settings import Settings

__all__ = ["Check", "doctor", "examine"]

State = Literal["ok", "missing", "wrong"]

LEAST_PYTHON = (3, 11)
LEARN = ("torch", "lightning_fabric", "onnx", "sklearn", "einops")
LEAST_DISK_GB = 2.0
ROOM_GB = 10.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. ``wrong`` stops the platform, ``missing`` stops a part of it."""

    name: str
    state: State
    found: str
    fix: str = ""


def doctor(*, settings: File = None, change: Change = (), json: Json = False) -> int:
    """Tell what is missing on this machine, one line each, with the fix.

    Exit code 0 when the platform can run, also if a part such as training cannot; 3 when it cannot.
    """
    checks = list(examine(settings, change))
    if json:
        write_json(checks)
    else:
        width = max(len(one.name) for one in checks)
        for one in checks:
            say(f"{one.state:<8}{one.name:<{width}}  {one.found}" + (f"  ->  {one.fix}" if one.fix else ""))
    return 3 if any(one.state == "wrong" for one in checks) else 0


def examine(file: Path | None, changes: tuple[str, ...] = ()) -> Iterator[Check]:
    """Yield one check after the other; no check raises."""
    yield _python()
    try:
        settings, _ = read(file, changes)
    except NervureError as cause:
        where = f" ({cause.where})" if cause.where else ""
        yield Check(name="settings", state="wrong", found=f"{cause.what}{where}", fix=cause.hint or "")
        settings = Settings()
    else:
        yield Check(name="settings", state="ok", found=str(file or "nervure.toml, variables and defaults"))
    yield _broker(settings)
    yield _folder(settings.folder)
    yield _disk(settings.folder, settings.nats.max_store_gb)
    yield from _ports(settings)
    yield _learning()
    yield from _solutions(settings)


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < LEAST_PYTHON:
        return Check(name="python", state="wrong", found=version, fix="use Python 3.11 or later")
    return Check(name="python", state="ok", found=version)


def _broker(settings: Settings) -> Check:
    if settings.nats.url:
        return Check(name="nats-server", state="ok", found=f"not needed: {settings.nats.url} is used")
    from nervure.stream.server import find_program

    try:
        return Check(name="nats-server", state="ok", found=str(find_program()))
    except NervureError as cause:
        return Check(name="nats-server", state="wrong", found=cause.what, fix=cause.hint or "")


def _folder(folder: Path) -> Check:
    """Try to write where the folder is, or in the nearest parent where it would be made."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as cause:
        return Check(
            name="data folder",
            state="wrong",
            found=f"{folder.absolute()}: {cause.strerror}",
            fix="set NERVURE_FOLDER to a folder you may write to",
        )
    return Check(name="data folder", state="ok", found=str(folder.absolute()))


def _disk(folder: Path, log_gb: float) -> Check:
    free = shutil.disk_usage(_existing(folder)).free / 1e9
    found = f"{free:.1f} GB free"
    if free < LEAST_DISK_GB:
        return Check(name="disk", state="wrong", found=found, fix=f"free {LEAST_DISK_GB:g} GB at least")
    if free < min(log_gb, ROOM_GB):
        return Check(
            name="disk",
            state="missing",
            found=f"{found}, less than the log may take ({log_gb:g} GB)",
            fix="free some, or set nats.max_store_gb lower",
        )
    return Check(name="disk", state="ok", found=found)


def _ports(settings: Settings) -> Iterator[Check]:
    from nervure.cli.process import find

    running = find(settings.folder)
    ports = [("http.port", settings.http.host, settings.http.port)]
    if settings.nats.url is None:
        ports += [
            ("nats.port", settings.nats.host, settings.nats.port),
            ("nats.mqtt_port", settings.nats.mqtt_host, settings.nats.mqtt_port),
        ]
    for name, host, port in ports:
        if running:
            yield Check(name=name, state="ok", found=f"{port}, used by our own process {running.pid}")
        elif cause := _taken(host, port):
            yield Check(
                name=name,
                state="wrong",
                found=f"{port} on {host}: {cause}",
                fix=f"stop what uses it, or set {name}",
            )
        else:
            yield Check(name=name, state="ok", found=f"{port} is free")


def _taken(host: str, port: int) -> str | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as cause:
            return cause.strerror or str(cause)
    return None


def _learning() -> Check:
    absent = [name for name in LEARN if find_spec(name) is None]
    if absent:
        return Check(
            name="learning",
            state="missing",
            found=f"cannot train: {', '.join(absent)} not installed",
            fix="pip install 'nervure[learn]'",
        )
    return Check(name="learning", state="ok", found="torch and the rest of nervure[learn] are installed")


def _solutions(settings: Settings) -> Iterator[Check]:
    from nervure.cli.data import located
    from nervure.solutions import find, names

    for name in settings.project.solutions:
        if name not in names():
            yield Check(
                name=f"solution {name}",
                state="wrong",
                found="it does not exist",
                fix=f"project.solutions may hold {', '.join(names())}",
            )
    for name in names():
        source = find(name).data
        if source is None:
            continue
        place = located(source)
        fix = "" if place else f"nervure data fetch {name}, or set NERVURE_DATA"
        yield Check(
            name=f"data {name}",
            state="ok" if place else "missing",
            found=place or f"{source.folder} is not here",
            fix=fix,
        )


def _existing(folder: Path) -> Path:
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
