"""How commands reach the node of this machine: who may read its data folder is let in as the console."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from nervure.core.settings import Settings

if TYPE_CHECKING:
    import httpx
    import paho.mqtt.client as paho

__all__ = ["http_address", "http_client", "mqtt_address", "mqtt_client", "trusting"]

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not to bind


def http_address(settings: Settings) -> str:
    """Return where the node answers HTTP."""
    host = _near(settings.http.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls.on else 'http'}://{shown}:{settings.http.port}"


def mqtt_address(settings: Settings) -> str:
    """Return where the node's broker listens."""
    return f"{'mqtts' if settings.tls.on else 'mqtt'}://{_near(settings.nats.mqtt_host)}:{settings.nats.mqtt_port}"


def http_client(settings: Settings, **more: Any) -> httpx.Client:
    """Return an HTTP client that the node lets in, and that knows it by its own authority."""
    import httpx

    from nervure.trust.console import console_secret

    secret = "" if settings.access.open else console_secret(settings.folder, make=False)
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    verify: Any = trusting(settings) if settings.tls.on else True
    return httpx.Client(headers=headers, verify=verify, trust_env=False, **more)


def mqtt_client(settings: Settings) -> paho.Client:
    """Return an MQTT client that the node lets in, not connected yet."""
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    from nervure.trust.console import CONSOLE, console_secret

    client = paho.Client(CallbackAPIVersion.VERSION2)
    if not settings.access.open:
        client.username_pw_set(CONSOLE, console_secret(settings.folder, make=False))
    if settings.tls.on:
        client.tls_set_context(trusting(settings))
    return client


def trusting(settings: Settings) -> ssl.SSLContext:
    """Return TLS that believes our own authority, or the file of a certificate that was given."""
    context = ssl.create_default_context()
    own = settings.folder / "tls" / "ca.pem"
    if settings.tls.certificate is not None:
        context.load_verify_locations(cafile=settings.tls.certificate)
        context.check_hostname = False  # by its address here, whatever name it has for others
    elif own.exists():
        context.load_verify_locations(cafile=str(own))
    probe = settings.folder / "tls" / "probe.pem"
    if probe.exists():  # where MQTT lets in nobody without a certificate
        context.load_cert_chain(probe, probe.with_suffix(".key"))
    return context


def _near(host: str) -> str:
    return _ANYWHERE.get(host, host)
