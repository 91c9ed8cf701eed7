"""The local certificate authority of a data dir, and the server certificate that the authority signs.

The authority is made once, so that clients trust it once: `tls/ca.pem`. The server certificate lasts a year and is made
again at a start that finds it near its end, without a name that clients use, or apart from its key.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modelyard.core.data_dir import DataDir
from modelyard.process.atomic_files import replace_file

AUTHORITY_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)
"""Some clients refuse a server certificate with a longer life."""
RENEWAL = timedelta(days=30)
"""Time before its end at which a certificate is made again."""
_CLOCK_DIFFERENCE = timedelta(days=1)
_MOST_NAME_CHARACTERS = 64
"""Of a common name."""


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(data: DataDir, names: Sequence[str], *, now: datetime) -> list[str]:
    """Make the authority and the server certificate where needed. Returns a sentence for each that was made."""
    made = []
    authority = _read_authority(data, now)
    if authority is None:
        authority = _make_authority(data, names, now)
        made.append(f"made a certificate authority: clients must trust {data.tls_authority}")
    reason = _reason_to_renew(data, authority, names, now)
    if reason is not None:
        _make_server_certificate(data, authority, names, now)
        made.append(f"made a server certificate: {reason}")
    return made


def _read_authority(data: DataDir, now: datetime) -> _Authority | None:
    """None: there is no authority, or its end is near."""
    certificate, key = _read_certificate(data.tls_authority), _read_key(data.tls_authority_key)
    if certificate is None or key is None or certificate.public_key() != key.public_key():
        return None
    return None if certificate.not_valid_after_utc - RENEWAL < now else _Authority(certificate, key)


def _reason_to_renew(data: DataDir, authority: _Authority, names: Sequence[str], now: datetime) -> str | None:
    certificate, key = _read_certificate(data.tls_certificate), _read_key(data.tls_key)
    if certificate is None or key is None or certificate.public_key() != key.public_key():
        return "there was none for the key"
    if not _is_signed_by(certificate, authority):
        return "the former certificate is from another authority"
    if certificate.not_valid_after_utc - RENEWAL < now:
        return f"the former certificate ends at {certificate.not_valid_after_utc:%Y-%m-%d}"
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    present = set(extension.value)
    absent = [name for name in names if _general_name(name) not in present]
    return f"the former certificate lacks {', '.join(absent)}" if absent else None


def _is_signed_by(certificate: x509.Certificate, authority: _Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _make_authority(data: DataDir, names: Sequence[str], now: datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _common_name(f"Modelyard {names[-1]}")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(name, name, key.public_key(), now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    replace_file(data.tls_authority_key, _private(key), mode=0o600)
    replace_file(data.tls_authority, _public(certificate), mode=0o644)
    return _Authority(certificate, key)


def _make_server_certificate(data: DataDir, authority: _Authority, names: Sequence[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    end = min(now + SERVER_LIFETIME, issuer.not_valid_after_utc)
    certificate = (
        _builder(_common_name(names[0]), issuer.subject, key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    # A start between the two writes finds a certificate apart from its key.
    replace_file(data.tls_key, _private(key), mode=0o600)
    replace_file(data.tls_certificate, _public(certificate), mode=0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificateIssuerPublicKeyTypes, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_DIFFERENCE)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_MOST_NAME_CHARACTERS])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read_certificate(path: Path) -> x509.Certificate | None:
    """None: there is no such file, or it is damaged."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode()


def _public(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
