"""Keys and certificates for the server's tests, made once per run."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def write_private(file: Path, key: PrivateKey, password: str | None = None) -> None:
    encryption: KeySerializationEncryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`RS256.pem`, `RS256.pub`, and so on for each algorithm with a key pair; `other.pem` belongs to none of them."""
    folder = tmp_path_factory.mktemp("keys")
    keys: dict[str, PrivateKey] = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "other": ec.generate_private_key(ec.SECP256R1()),
        "weak": rsa.generate_private_key(65537, 1024),
        "curve": ec.generate_private_key(ec.SECP384R1()),
    }
    for name, key in keys.items():
        write_private(folder / f"{name}.pem", key)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(public)
    write_private(folder / "locked.pem", keys["ES256"], "open sesame")
    return folder


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write a self-signed certificate for 127.0.0.1 and its key, over those of the call before."""

    def make(name: str, password: str | None = None) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=36500))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        paths = tmp_path / "server.crt", tmp_path / "server.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        write_private(paths[1], key, password)
        return paths

    return make
