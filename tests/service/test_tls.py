"""TLS at both doors: which certificates get in, and which do not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from nervure.core.access import Tls
from nervure.core.error import SettingError
from nervure.core.settings import Settings, load
from nervure.serve.header import secured
from nervure.serve.listener import bind, listen
from nervure.stream.subject import reading_topic
from nervure.trust.authority import Authority, Issued
from nervure.trust.listener import listener_files, server_context
from nervure.trust.office import MACHINE
from tests.door import Caller, Place, guarded
from tests.house import House
from tests.patience import PATIENCE_S
from tests.support import collect, free_ports

pytestmark = pytest.mark.service


def written(folder: Path, name: str, issued: Issued, key: str | None = None) -> tuple[Path, Path]:
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_text(issued.certificate)
    secret.write_text(key or issued.key)
    return certificate, secret


def expired(authority: Authority, name: str) -> Issued:
    """Return a certificate of the authority that ended yesterday."""
    made = authority.device(name, 1.0)
    old = x509.load_pem_x509_certificate(made.certificate.encode())
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
    builder = builder.public_key(old.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=2)).not_valid_after(now - timedelta(days=1))
    signed = builder.sign(authority._key, hashes.SHA256())
    return Issued(
        certificate=signed.public_bytes(encoding=_PEM).decode(),
        key=made.key,
        serial=f"{signed.serial_number:x}",
        fingerprint=signed.fingerprint(hashes.SHA256()).hex(),
        expires_ns=0,
    )


_PEM = Encoding.PEM


def wrong_files(folder: Path, authority: Authority) -> dict[str, tuple[Path | None, Path | None]]:
    """Return certificates and keys that must not open the door, by what is wrong with them."""
    stranger = Authority.load_or_create(folder / "elsewhere").device("pump-1", 1.0)
    return {
        "none": (None, None),
        "unknown": written(folder, "unknown", stranger),
        "expired": written(folder, "expired", expired(authority, "pump-1")),
        "never given": written(folder, "mine", authority.device("pump-1", 1.0)),
        "of a listener": written(folder, "listener", authority.server(["x"], 1.0)),
    }


def test_where_a_certificate_is_required_only_a_good_one_gets_in_by_mqtt(
    settings: Settings, tmp_path: Path
) -> None:
    async def run() -> None:
        async with guarded(settings, tmp_path, tls=True, require=True) as place:
            thing, (mine,) = place.thing("pump")
            ca, port = tmp_path / "ca.pem", settings.nats.mqtt_port
            made = place.office.add_device(MACHINE, "pump-1", thing, certificate=True)
            token = place.office.add_device(MACHINE, "pump-2", thing).token
            assert made.issued is not None
            good = written(tmp_path, "good", made.issued)
            caller = Caller(port, None, tls=(ca, *good))
            assert await asyncio.to_thread(caller.knock) == 0
            await asyncio.to_thread(caller.publish, reading_topic(mine), b"1")
            assert len(await collect(place.log, 0, 1)) == 1

            for what, files in wrong_files(tmp_path, place.authority).items():
                other = Caller(port, None, tls=(ca, *files))
                assert await asyncio.to_thread(other.knock) != 0, what
                other.leave()
            with_token = Caller(port, "pump-2", token, tls=(ca, None, None))
            assert await asyncio.to_thread(with_token.knock) != 0
            with_token.leave()
            assert caller.mqtt.is_connected()
            place.office.revoke_device(MACHINE, "pump-1")
            assert await asyncio.to_thread(caller.closed.wait, PATIENCE_S)
            caller.leave()
            again = Caller(port, None, tls=(ca, *good))
            assert await asyncio.to_thread(again.knock) != 0
            again.leave()
            gone = x509.load_pem_x509_crl(place.office.crl().encode())
            assert gone.is_signature_valid(place.authority.certificate.public_key())  # type: ignore[arg-type]
            assert [f"{one.serial_number:x}" for one in gone] == [made.issued.serial]

    asyncio.run(run())


def test_over_tls_a_device_with_a_token_gets_in_and_old_tls_does_not(
    settings: Settings, tmp_path: Path
) -> None:
    async def run() -> None:
        async with guarded(settings, tmp_path, tls=True) as place:
            thing, _ = place.thing("pump")
            device = place.office.add_device(MACHINE, "pump-1", thing)
            ca = tmp_path / "ca.pem"
            caller = Caller(settings.nats.mqtt_port, "pump-1", device.token, tls=(ca, None, None))
            assert await asyncio.to_thread(caller.knock) == 0
            caller.leave()
            plain = Caller(settings.nats.mqtt_port, "pump-1", device.token)
            assert await asyncio.to_thread(plain.knock) != 0
            plain.leave()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", settings.nats.mqtt_port, ssl=_old(ca))

    asyncio.run(run())


@contextlib.asynccontextmanager
async def https(house: House) -> AsyncIterator[tuple[str, Path]]:
    """Serve the house over TLS as a node does, as long as the block lasts."""
    (port,) = free_ports(1)
    folder = house.folder / "tls"
    files = listener_files(Tls(on=True), house.office.authority, folder)
    serving = asyncio.create_task(
        listen(secured(house.app()), bind("127.0.0.1", port), server_context(files))
    )
    try:
        yield f"https://localhost:{port}", folder / "ca.pem"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _old(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_https_knows_devices_by_their_certificates_and_tells_browsers_to_be_careful(tmp_path: Path) -> None:
    house = House(tmp_path)
    place = Place.__new__(Place)
    place.catalogue = house.catalogue
    thing, _ = place.thing("pump")
    made = house.office.add_device(MACHINE, "pump-1", thing, certificate=True)
    assert made.issued is not None
    good = written(tmp_path, "good", made.issued)
    stranger = written(tmp_path, "bad", Authority.load_or_create(tmp_path / "other").device("pump-1", 1.0))

    async def post(url: str, ca: Path, files: tuple[Path, Path] | None) -> httpx.Response:
        context = ssl.create_default_context(cafile=str(ca))
        if files is not None:
            context.load_cert_chain(*files)
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            return await client.post(f"{url}/v1.1/Observations")

    async def run() -> None:
        async with https(house) as (url, ca):
            answer = await post(url, ca, good)
            assert answer.json() == {"name": "pump-1"}
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert (await post(url, ca, None)).status_code == 401
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await post(url, ca, stranger)
            house.office.revoke_device(MACHINE, "pump-1")
            assert (await post(url, ca, good)).status_code == 401
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("localhost", int(url.rpartition(":")[2]), ssl=_old(ca))

    asyncio.run(run())
    house.close()


def test_nobody_listens_where_others_reach_without_tls_and_sign_in() -> None:
    def settings(**override: object) -> Settings:
        return load(
            environ={}, override={name.replace("__", "."): value for name, value in override.items()}
        )[0]

    for where in ("http__host", "nats__mqtt_host"):
        with pytest.raises(SettingError):
            settings(**{where: "0.0.0.0"})
        with pytest.raises(SettingError):
            settings(**{where: "0.0.0.0", "tls__on": "true", "access__open": "true"})
        assert settings(**{where: "0.0.0.0", "tls__on": "true"}).tls.on
    with pytest.raises(SettingError):
        settings(nats__host="0.0.0.0", tls__on="true")
    with pytest.raises(SettingError):
        bind("0.0.0.0", 0)
    bind("0.0.0.0", 0, guarded=True).close()


def test_the_certificate_made_here_is_kept_and_made_anew_for_other_names(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    assert Authority.load_or_create(tmp_path).pem == authority.pem
    first = Path(listener_files(Tls(), authority, tmp_path).certificate).read_text()
    assert Path(listener_files(Tls(), authority, tmp_path).certificate).read_text() == first
    other = listener_files(Tls(names=("city.example", "10.0.0.5")), authority, tmp_path)
    assert Path(other.certificate).read_text() != first
    for name in ("ca.key", "server.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingError):
        listener_files(Tls(certificate="x.pem"), authority, tmp_path)


def test_a_signing_request_keeps_its_key_to_itself(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    made = authority.device("pump-1", 5.0, request.public_bytes(_PEM))
    found = x509.load_pem_x509_certificate(made.certificate.encode())
    assert made.key == ""
    assert found.subject.rfc4514_string() == "CN=pump-1"
    assert found.public_key() == key.public_key()
    assert authority.signed(found)
    assert not Authority.load_or_create(tmp_path / "other").signed(found)
