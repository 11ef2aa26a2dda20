"""The built-in certificate authority: certificates of devices and of our own listeners, and the CRL.

Keys are on the curve P-256; private ones lie in files that only their owner may read, and a device's
is never kept. Source: X.509 as in RFC 5280, through `cryptography`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nervure.core.error import EnvironmentMissing, SettingError, UsageError
from nervure.trust.signature import write_once

__all__ = ["Authority", "Issued", "fingerprint"]

_KEY = "ca.key"
_CERTIFICATE = "ca.pem"
_AUTHORITY_DAYS = 3650
_EARLIER = timedelta(minutes=5)  # clocks of devices are a little behind
_CRL_DAYS = 7


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was made: PEM of it and of its key ("" if the key stayed elsewhere)."""

    certificate: str
    key: str
    serial: str
    fingerprint: str
    expires_ns: int

    def __repr__(self) -> str:
        return f"Issued({self.serial})"


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate given as DER or PEM; ``UsageError`` if it is none."""
    if certificate.lstrip().startswith(b"-----BEGIN"):
        try:
            certificate = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
        except ValueError as cause:
            raise UsageError(f"this is no certificate: {cause}") from cause
    return sha256(certificate).hexdigest()


class Authority:
    """The authority of one installation, in ``tls/`` of its data folder."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    def __repr__(self) -> str:
        return f"Authority({self.certificate.serial_number:x})"

    @property
    def pem(self) -> str:
        """Its own certificate, which whoever trusts it needs."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @classmethod
    def load_or_create(cls, folder: Path) -> Authority:
        """Read the authority in a folder, or make one."""
        key_file, file = folder / _KEY, folder / _CERTIFICATE
        try:
            if not key_file.exists():
                write_once(key_file, _key_pem(ec.generate_private_key(ec.SECP256R1())))
            if key_file.stat().st_mode & 0o077:
                raise SettingError(
                    f"others can read the private key {key_file}", hint=f"chmod 600 {key_file}"
                )
            key = load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise SettingError(f"{key_file} is no key on an elliptic curve")
            if not file.exists():
                write_once(file, _self_signed(key).public_bytes(Encoding.PEM).decode())
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
        except (OSError, ValueError) as cause:
            raise EnvironmentMissing(f"cannot read the certificate authority in {folder}: {cause}") from cause
        return cls(key, certificate)

    def device(self, name: str, days: float, request: bytes | None = None) -> Issued:
        """Certify a device; with a signing request (PEM) its key never leaves it."""
        key = None if request else ec.generate_private_key(ec.SECP256R1())
        public = _requested(request) if request else key.public_key() if key else None
        assert public is not None  # noqa: S101 - one of the two is there
        return self._issue(name, days, public, key, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self, hosts: Sequence[str], days: float) -> Issued:
        """Certify one of our own listeners, reached by these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general(host) for host in hosts]
        return self._issue(hosts[0], days, key.public_key(), key, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def crl(self, serials: Iterable[tuple[str, int]]) -> str:
        """Return the list of revoked certificates (serial in hexadecimal, when in ns), signed, as PEM."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - _EARLIER).next_update(now + timedelta(days=_CRL_DAYS))
        for serial, when_ns in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(int(serial, 16))
                .revocation_date(datetime.fromtimestamp(when_ns // 1_000_000_000, UTC))
                .build()
            )
        number = x509.CRLNumber(int(now.timestamp() * 1000))
        signed = builder.add_extension(number, critical=False).sign(self._key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM).decode()

    def signed(self, certificate: x509.Certificate) -> bool:
        """Tell whether this authority made a certificate, and it is good now."""
        now = datetime.now(UTC)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            return False
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _issue(
        self,
        name: str,
        days: float,
        public: ec.EllipticCurvePublicKey,
        key: ec.EllipticCurvePrivateKey | None,
        usage: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName],
    ) -> Issued:
        if not 0 < days <= _AUTHORITY_DAYS:
            raise UsageError(f"a certificate is good for more than 0 and at most {_AUTHORITY_DAYS:,} days")
        now = datetime.now(UTC)
        until = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        builder = _begin(name, public, self.certificate.subject, now, until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(ours, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(
            certificate=certificate.public_bytes(Encoding.PEM).decode(),
            key=_key_pem(key) if key else "",
            serial=f"{certificate.serial_number:x}",
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            expires_ns=int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000,
        )


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nervure installation")])
    builder = _begin(
        "Nervure installation", key.public_key(), name, now, now + timedelta(days=_AUTHORITY_DAYS)
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(usage, critical=True)
    return builder.sign(key, hashes.SHA256())


def _begin(
    name: str, public: ec.EllipticCurvePublicKey, issuer: x509.Name, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _requested(request: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of a signing request whose sender holds its private half."""
    try:
        read = x509.load_pem_x509_csr(request)
        valid = read.is_signature_valid
        public = read.public_key()
    except (ValueError, TypeError) as cause:
        raise UsageError(f"this is no signing request: {cause}", hint="openssl req -new makes one") from cause
    if not valid or not isinstance(public, ec.EllipticCurvePublicKey):
        raise UsageError("the signing request is not signed by its own key on an elliptic curve")
    return public


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
