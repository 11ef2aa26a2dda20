"""The configuration of the embedded nats-server, and the secret that only the node knows."""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nervure.core.error import EnvironmentMissing, SettingError
from nervure.stream.subject import ALERT_SUBJECTS, DEVICE_SUBJECTS

if TYPE_CHECKING:
    from nervure.core.settings import Nats

__all__ = ["NODE_USER", "configuration", "read_secret", "require_loopback", "write_private"]

NODE_USER = "nervure"

_DEVICE_USER = "device"
_SECRET = "secret"  # noqa: S105 - the name of a file
_QUEUED = 1 << 20


def require_loopback(host: str) -> None:
    """Refuse an address that others can reach, as devices have no identities of their own yet."""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise SettingError(
            f"the broker would listen on {host!r}, where anyone could publish readings",
            where="$.nats.host",
            hint="keep 127.0.0.1 until devices have identities, or set nats.url to a server of your own",
        )


def read_secret(folder: Path) -> str:
    """Return the node's password in ``folder``, made on first use; its file is readable by its owner only."""
    path = folder / _SECRET
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        write_private(path, secrets.token_urlsafe(32))
        return path.read_text("ascii")
    except OSError as cause:
        raise EnvironmentMissing(
            f"cannot read {path}: {cause.strerror}", hint="run as the user who owns the data folder"
        ) from cause


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_suffix(f".{os.getpid()}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as cause:
        raise EnvironmentMissing(
            f"cannot write {path}: {cause.strerror}", hint="choose a data folder with room that you may write"
        ) from cause


def configuration(nats: Nats, *, folder: Path, secret: str, name: str, door: bool) -> str:
    """Return the text of ``nats-server``'s configuration file, in which JSON is valid.

    Two users: the node, who may do anything, and whoever comes by MQTT, who may publish readings,
    and follow readings and alerts, and nothing else. Without ``door`` there is no MQTT.
    """
    tree: dict[str, object] = {
        "server_name": name,
        "listen": f"{nats.host}:{nats.port}",
        "max_payload": nats.max_payload_bytes,
        "max_pending": max(64 << 20, 2 * nats.max_payload_bytes),
        "no_fast_producer_stall": True,  # a node that is busy must not slow down the devices
        "log_file": str(folder / "server.log"),
        "log_size_limit": 8 << 20,
        "log_max_num": 4,
        "jetstream": {
            "store_dir": str(folder / "js"),
            "max_file_store": int(nats.max_store_gb * (1 << 30)),
            "sync_interval": "always" if nats.sync_s <= 0 else f"{round(nats.sync_s * 1000)}ms",
            "max_buffered_msgs": _QUEUED,
        },
        "authorization": {
            "users": [
                {"user": NODE_USER, "password": secret},
                {
                    "user": _DEVICE_USER,
                    "password": "",
                    "permissions": _device_rights(),
                    "allowed_connection_types": ["MQTT"],
                },
            ]
        },
    }
    if door:
        tree["mqtt"] = {"listen": f"{nats.host}:{nats.mqtt_port}", "no_auth_user": _DEVICE_USER}
    return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()


def _device_rights() -> dict[str, dict[str, tuple[str, ...]]]:
    trees = ("v1//1", ALERT_SUBJECTS.removesuffix(".>"))
    # MQTT's a/# is both a and a.> here; QoS 1 comes to a subscriber by way of $MQTT.sub
    heard = (*trees, *(f"{tree}.>" for tree in trees), "$MQTT.sub.>")
    return {"publish": {"allow": DEVICE_SUBJECTS}, "subscribe": {"allow": heard}}
