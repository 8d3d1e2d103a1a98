"""`wss`: certificates are verified, and a failure says so."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rtcore.application import open_hub
from rtcore.client import ClientState, connect
from rtcore.server.server import Server
from rtcore.server.settings import Settings, TlsSettings


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    """A certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = TlsSettings(certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


async def test_client_speaks_tls_and_verifies_the_certificate(tls: TlsSettings) -> None:
    with trio.fail_after(20):
        async with open_hub() as hub, trio.open_nursery() as nursery:
            server = Server(hub, Settings(port=0, tls=tls))
            await nursery.start(server.run)
            assert server.url.startswith("wss://")
            context = ssl.create_default_context(cafile=str(tls.certificate))
            async with connect(server.url, ssl_context=context) as client:
                assert (await client.publish("tasks", "task.status", 1)).offset == 1
            refusal = trio.Event()
            reasons: list[str] = []

            def changed(state: ClientState, why: str) -> None:
                if state is ClientState.WAITING:
                    reasons.append(why)
                    refusal.set()

            async with connect(server.url, on_change=changed):
                await refusal.wait()
            assert "certificate verify failed" in reasons[0].lower()
            nursery.cancel_scope.cancel()
