"""TLS of our own listeners: the certificate they show, given or made here, and whose they believe."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509

from nervure.core.access import Tls
from nervure.core.error import EnvironmentMissing, SettingError
from nervure.trust.authority import Authority

__all__ = ["Files", "client_context", "listener_files", "server_context"]

_DAYS = 365.0
_RENEW = timedelta(days=30)


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Files of a listener: its certificate with the chain, its key, and the authority of devices."""

    certificate: str
    key: str
    authority: str


def listener_files(tls: Tls, authority: Authority, folder: Path) -> Files:
    """Return the files that HTTP and MQTT show; made, and made anew before they end, if none are given."""
    ca = str(folder / "ca.pem")
    if tls.certificate is not None or tls.key is not None:
        if tls.certificate is None or tls.key is None:
            raise SettingError("a certificate and its key go together", where="$.tls")
        return Files(certificate=tls.certificate, key=tls.key, authority=ca)
    certificate, key = folder / "server.pem", folder / "server.key"
    if not _good(certificate, tls.names):
        made = authority.server(tls.names or ("localhost",), _DAYS)
        _replace(key, made.key)
        _replace(certificate, made.certificate + authority.pem)
    return Files(certificate=str(certificate), key=str(key), authority=ca)


def server_context(files: Files) -> ssl.SSLContext:
    """Return TLS 1.2 or newer for HTTP; a device may show a certificate, and nobody has to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(cafile=files.authority)
    except (OSError, ssl.SSLError) as cause:
        raise EnvironmentMissing(
            f"the certificate {files.certificate} with the key {files.key} cannot be used: {cause}",
            where="$.tls",
        ) from cause
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(authority: Authority, folder: Path) -> ssl.SSLContext:
    """Return how this process itself connects to its MQTT listener, to see whether it lets anybody in."""
    issued = authority.device("nervure-probe", _DAYS)
    certificate, key = folder / "probe.pem", folder / "probe.key"
    _replace(certificate, issued.certificate)
    _replace(key, issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # it is this machine, by whatever name the certificate has
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context


def _good(path: Path, names: tuple[str, ...]) -> bool:
    """Tell whether the certificate made here is for these names, and for a while to come."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        shown = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    has = {str(one.value) for one in shown}
    return has == set(names) and found.not_valid_after_utc - datetime.now(UTC) > _RENEW


def _replace(path: Path, text: str) -> None:
    """Write a private file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
