"""The house's own certificates: a CA made once at `init`, and a server leaf renewed by itself.

Terminals pin the CA when they enrol; people who print over `ipps` may install it. The leaf keeps its key when it is
renewed, so what a terminal has seen stays true. P-256 everywhere: GnuTLS, Schannel and Secure Transport all take it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daemon.auth.keys import KeysMissing, sync_directory
from daemon.kernel.clock import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

CA_DAYS = 3650
LEAF_DAYS = 397
"""The longest life mail and web clients accept from any CA."""
RENEW_BEFORE_DAYS = 120
"""A leaf with less than this left is renewed: weeks of warning for whoever watches certificates."""
BACKDATE_HOURS = 24
"""Terminals with a clock a little behind must not see a certificate from the future."""
SERIAL_BYTES = 19
ALWAYS_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are. The two keys lie in DIR/keys, the certificates in DIR/tls."""

    ca_cert: Path
    ca_key: Path
    server_cert: Path
    server_key: Path

    @classmethod
    def under(cls, state_dir: Path) -> TlsFiles:
        """The files of one state directory."""
        return cls(
            ca_cert=state_dir / "tls" / "ca.pem",
            ca_key=state_dir / "keys" / "ca.key",
            server_cert=state_dir / "tls" / "server.pem",
            server_key=state_dir / "keys" / "server.key",
        )


def create(files: TlsFiles, *, names: Sequence[str], clock: Clock, dice: Dice) -> None:
    """Make the CA and the first leaf. `names`: host names and addresses besides localhost and loopback."""
    for path in (files.ca_cert, files.ca_key):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.ca_cert.parent.chmod(0o755)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"Holdfast {dice.token(4).hex()} CA")
    now = _now(clock)
    certificate = (
        _builder(subject, subject, key.public_key(), now=now, days=CA_DAYS, dice=dice)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(files.ca_key, _pem_key(key), mode=0o600)
    _write(files.ca_cert, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    renew(files, names=names, clock=clock, dice=dice)


def renew(files: TlsFiles, *, names: Sequence[str], clock: Clock, dice: Dice) -> bool:
    """Make a new leaf when there is none, it ends within 120 days, its CA is another, or `names` have changed.

    Returns whether one was made; who serves it reloads with `reload`.

    Raises:
        KeysMissing: the CA is absent or unreadable.
    """
    wanted = _all_names(names)
    ca = _load_certificate(files.ca_cert)
    now = _now(clock)
    if files.server_cert.exists() and files.server_key.exists():
        leaf = _load_certificate(files.server_cert)
        is_ours = leaf.issuer == ca.subject and _sans(leaf) == set(wanted)
        if is_ours and leaf.not_valid_after_utc - now > timedelta(days=RENEW_BEFORE_DAYS):
            return False
    ca_key = _load_key(files.ca_key)
    if files.server_key.exists():
        key = _load_key(files.server_key)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(files.server_key, _pem_key(key), mode=0o600)
    certificate = (
        _builder(_name(wanted[-1]), ca.subject, key.public_key(), now=now, days=LEAF_DAYS, dice=dice)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in wanted]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM) + ca.public_bytes(serialization.Encoding.PEM)
    _write(files.server_cert, chain, mode=0o644)
    return True


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for our listeners: TLS 1.2 or later, no client certificates (terminals sign their requests)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    reload(context, files)
    return context


def reload(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Let a live context serve the leaf now on disk; open connections keep theirs.

    Raises:
        KeysMissing: certificate or key are absent, or do not belong together.
    """
    try:
        context.load_cert_chain(files.server_cert, files.server_key)
    except OSError as error:
        raise KeysMissing(f"{files.server_cert}: cannot be served: {error}") from error


def server_key_sha256(files: TlsFiles) -> bytes:
    """SHA-256 of the leaf's public key (SPKI, DER): what an enrolling terminal sees and proves it saw."""
    spki = _load_certificate(files.server_cert).public_key()
    der = spki.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def ca_pem(files: TlsFiles) -> str:
    """The CA certificate as text."""
    return _load_certificate(files.ca_cert).public_bytes(serialization.Encoding.PEM).decode("ascii")


def ca_sha256(files: TlsFiles) -> str:
    """The CA certificate's fingerprint, upper-case hex pairs with colons, as browsers show it."""
    digest = _load_certificate(files.ca_cert).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _all_names(names: Sequence[str]) -> list[str]:
    """Loopback first, then the site's own; the last one names the leaf."""
    return list(dict.fromkeys((*ALWAYS_NAMES, *(name.lower().rstrip(".") for name in names if name))))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode("ascii"))


def _sans(certificate: x509.Certificate) -> set[str]:
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(general.value) for general in sans}


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    days: int,
    dice: Dice,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(int.from_bytes(dice.token(SERIAL_BYTES), "big") | 1)
        .not_valid_before(now - timedelta(hours=BACKDATE_HOURS))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _now(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now_us() // US_PER_S, UTC)


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KeysMissing(f"{path}: not a certificate: {error}") from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeysMissing(f"{path}: not a private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeysMissing(f"{path}: not a P-256 key")
    return key


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Whole or not at all: a torn certificate would keep the daemon from starting."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.fchmod(handle, mode)
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.replace(path)
    sync_directory(path.parent)
