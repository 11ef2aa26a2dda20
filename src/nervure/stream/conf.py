"""The configuration of the embedded nats-server, and the secret that only the node knows."""

from __future__ import annotations

import ipaddress
import os
import secrets
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nervure.core.error import EnvironmentMissing, SettingError
from nervure.stream.subject import ALERT_SUBJECTS, DEVICE_SUBJECTS, MAPPINGS

if TYPE_CHECKING:
    from nervure.core.settings import Nats

__all__ = [
    "NODE_USER",
    "PROBE_USER",
    "SYSTEM_USER",
    "Gate",
    "Wrapped",
    "configuration",
    "read_secret",
    "require_loopback",
    "write_private",
]

NODE_USER = "nervure"
SYSTEM_USER = "nervure-system"
"""Who hears of connections and may end them, where devices sign in."""

PROBE_USER = "nervure-probe"
"""Who finds out whether devices are let in, and may do nothing more."""

_DEVICE_USER = "device"
_SECRET = "secret"  # noqa: S105 - the name of a file
_QUEUED = 1 << 20
_SIGN_IN_S = 5


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """TLS of the MQTT listener: files of our certificate, its key, and the authority of devices."""

    certificate: str
    key: str
    authority: str
    require: bool = False
    """Whether a device must show a certificate of that authority to be let in at all."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """How devices sign in: the server asks us about each, and believes what ``issuer`` signs.

    ``secret`` is the password of the two users that only this process uses; ``context`` is how it
    tries the listener, where that speaks TLS.
    """

    issuer: str
    secret: str
    tls: Wrapped | None = None
    context: ssl.SSLContext | None = None


def require_loopback(host: str) -> None:
    """Refuse an address that others can reach, where devices do not sign in."""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise SettingError(
            f"the broker would listen on {host!r}, where anyone could publish readings",
            where="$.nats.mqtt_host",
            hint="keep 127.0.0.1, or leave out --open and set tls.on = true",
        )


def read_secret(folder: Path, *, make: bool = True) -> str:
    """Return the node's password in ``folder``, made on first use; its file is readable by its owner only.

    Who does not ``make`` one gets an empty text where there is none.
    """
    path = folder / _SECRET
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        if not make:
            return ""
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


def configuration(
    nats: Nats, *, folder: Path, secret: str, name: str, door: bool, gate: Gate | None = None
) -> str:
    """Return the text of ``nats-server``'s configuration file, in which JSON is valid.

    Without a ``gate`` there are two users: the node, who may do anything, and whoever comes by MQTT,
    who may publish readings and Tasks, and follow entities, alerts and Tasks, and nothing else. With
    one, whoever comes by MQTT signs in. Without ``door`` there is no MQTT.
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
        "mappings": MAPPINGS,
        **(_open(secret) if gate is None else _gated(secret, gate)),
    }
    if door:
        tree["mqtt"] = _mqtt(nats, gate)
    return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()


def _open(secret: str) -> dict[str, object]:
    device = {"user": _DEVICE_USER, "password": "", "permissions": _device_rights()}
    device["allowed_connection_types"] = ["MQTT"]
    return {"authorization": {"users": [{"user": NODE_USER, "password": secret}, device]}}


def _gated(secret: str, gate: Gate) -> dict[str, object]:
    """Return who is known to the server itself; about everybody else it asks the node (NATS ADR-26).

    Devices come into the node's own account, where the log is: QoS 1 lasts as it does without a gate.
    """
    node = {"user": NODE_USER, "password": secret, "allowed_connection_types": ["STANDARD"]}
    nothing = {"publish": {"deny": ">"}, "subscribe": {"deny": ">"}}
    probe = {"user": PROBE_USER, "password": gate.secret, "permissions": nothing}
    probe["allowed_connection_types"] = ["MQTT"]
    system = {"user": SYSTEM_USER, "password": gate.secret, "allowed_connection_types": ["STANDARD"]}
    asked = {
        "issuer": gate.issuer,
        "account": "$G",
        "auth_users": [NODE_USER, PROBE_USER, SYSTEM_USER],
    }
    return {
        "accounts": {"$SYS": {"users": [system]}},
        "authorization": {"timeout": _SIGN_IN_S, "users": [node, probe], "auth_callout": asked},
    }


def _mqtt(nats: Nats, gate: Gate | None) -> dict[str, object]:
    host = f"[{nats.mqtt_host}]" if ":" in nats.mqtt_host else nats.mqtt_host
    found: dict[str, object] = {"listen": f"{host}:{nats.mqtt_port}"}
    if gate is None:
        found["no_auth_user"] = _DEVICE_USER
    elif gate.tls is not None:
        found["tls"] = {
            "cert_file": gate.tls.certificate,
            "key_file": gate.tls.key,
            "ca_file": gate.tls.authority,
            "verify": gate.tls.require,
            "min_version": "1.2",
            "timeout": _SIGN_IN_S,
        }
    return found


def _device_rights() -> dict[str, dict[str, tuple[str, ...]]]:
    trees = ("v1//1", ALERT_SUBJECTS.removesuffix(".>"), "nervure.tasks")
    # MQTT's a/# is both a and a.> here; QoS 1 comes to a subscriber by way of $MQTT.sub
    heard = (*trees, *(f"{tree}.>" for tree in trees), "$MQTT.sub.>")
    return {"publish": {"allow": DEVICE_SUBJECTS}, "subscribe": {"allow": heard}}
