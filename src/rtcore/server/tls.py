"""The server's TLS: a context from settings, whose certificate can be exchanged while connections go on."""

from __future__ import annotations

import ssl

from rtcore.errors import SettingsError
from rtcore.server.settings import TlsSettings

__all__ = ["TlsContext"]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsContext:
    """
    A server-side `ssl.SSLContext` that can read its certificate again.

    Args:
        settings: Files and oldest version.

    Raises:
        SettingsError: If the certificate or its key cannot be used.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self.settings = settings
        self.context = _new_context(settings)
        """Give it to `trio.SSLStream` or `trio.SSLListener`; it stays the same object over every reload."""

    def reload(self) -> None:
        """
        Read certificate and key again. Handshakes from now on get the new one, connections keep the one they have.

        Raises:
            SettingsError: If they cannot be used; the certificate from before stays in use.
        """
        # First into a context of its own: a load that fails half way leaves a certificate without its key behind.
        _new_context(self.settings)
        _load(self.context, self.settings)


def _new_context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    # Compression leaks what it compresses (CRIME); renegotiation is work at the client's demand.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # The listener reads an HTTP/1.1 head itself, so a client must not be left to hope for HTTP/2.
    context.set_alpn_protocols(["http/1.1"])
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: TlsSettings) -> None:
    # Always given, since without it OpenSSL asks for the password on the terminal.
    password = "" if settings.key_password is None else settings.key_password.reveal()
    for name in ("certificate", "key"):
        try:
            getattr(settings, name).open("rb").close()
        except OSError as error:
            path = getattr(settings, name)
            raise SettingsError(f"$.tls.{name}: {path} cannot be read: {error.strerror}") from error
    try:
        context.load_cert_chain(settings.certificate, settings.key, lambda: password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or "not usable"
        raise SettingsError(
            f"$.tls: {settings.certificate} and {settings.key} are no certificate and its key: {reason}"
        ) from None  # nothing more is in the cause than OpenSSL's word, which is in the message
