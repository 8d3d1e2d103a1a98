"""TLS: the context, and its certificate exchanged while the server runs."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from rtcore.errors import SettingsError
from rtcore.server.settings import TlsSettings
from rtcore.server.tls import TlsContext

Make = Callable[..., tuple[Path, Path]]


async def served_certificate(server: ssl.SSLContext) -> tuple[bytes | None, str | None, str | None]:
    """Certificate, protocol version and ALPN choice that a client gets, over a memory stream."""
    client_context = ssl.create_default_context()
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client_context.set_alpn_protocols(["h2", "http/1.1"])
    left, right = trio.testing.memory_stream_pair()
    client = trio.SSLStream(left, client_context, server_hostname="127.0.0.1")
    serving = trio.SSLStream(right, server, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        nursery.start_soon(serving.do_handshake)
    return client.getpeercert(binary_form=True), client.version(), client.selected_alpn_protocol()


def settings(paths: tuple[Path, Path], **more: str) -> TlsSettings:
    return TlsSettings(certificate=paths[0], key=paths[1], **more)  # type: ignore[arg-type]


def der(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text())


async def test_context_serves_the_certificate_and_speaks_http_1_only(make_certificate: Make) -> None:
    """The listener reads an HTTP/1.1 head, so that is what is agreed on."""
    paths = make_certificate("first")
    certificate, version, protocol = await served_certificate(TlsContext(settings(paths)).context)
    assert (certificate, version, protocol) == (der(paths[0]), "TLSv1.3", "http/1.1")


async def test_reload_exchanges_the_certificate_in_place(make_certificate: Make) -> None:
    """The context stays the same object, so no listener is touched."""
    paths = make_certificate("first")
    tls = TlsContext(settings(paths))
    before, context = der(paths[0]), tls.context
    make_certificate("second")
    assert (await served_certificate(context))[0] == before
    tls.reload()
    assert tls.context is context
    assert (await served_certificate(context))[0] == der(paths[0]) != before


async def test_failed_reload_keeps_the_certificate_in_use(make_certificate: Make) -> None:
    """A certificate beside the wrong key, half written, or gone: the server goes on as it was."""
    paths = make_certificate("first")
    tls = TlsContext(settings(paths))
    before, old_key = der(paths[0]), paths[1].read_bytes()
    make_certificate("second")
    paths[1].write_bytes(old_key)
    with pytest.raises(SettingsError, match=r"^\$\.tls: .* are no certificate and its key"):
        tls.reload()
    paths[0].write_text("-----BEGIN CERTIFICATE-----\nAAAA")
    with pytest.raises(SettingsError):
        tls.reload()
    paths[0].unlink()
    with pytest.raises(SettingsError, match=r"^\$\.tls\.certificate: .* cannot be read: No such file"):
        tls.reload()
    assert (await served_certificate(tls.context))[0] == before


async def test_key_with_a_password_needs_it(make_certificate: Make) -> None:
    """And nobody is asked for it on a terminal."""
    paths = make_certificate("first", "swordfish")
    certificate, *_ = await served_certificate(TlsContext(settings(paths, key_password="swordfish")).context)
    assert certificate == der(paths[0])
    for more in ({}, {"key_password": "wrong"}):
        with pytest.raises(SettingsError, match="are no certificate and its key") as caught:
            TlsContext(settings(paths, **more))
        assert "wrong" not in str(caught.value)


def test_old_versions_are_not_spoken(make_certificate: Make) -> None:
    """Source: RFC 8996."""
    paths = make_certificate("first")
    assert TlsContext(settings(paths)).context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert TlsContext(settings(paths, minimum_version="1.3")).context.minimum_version == ssl.TLSVersion.TLSv1_3
