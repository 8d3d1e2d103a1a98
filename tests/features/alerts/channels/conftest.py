"""Real servers for HTTP and SMTP on 127.0.0.1, each in a thread, and names that lead to them."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rtcore.features.alerts.alert import Alert, Severity
from rtcore.features.alerts.channels.addresses import AddressPolicy
from rtcore.features.alerts.channels.notification import Notification


@define(eq=False)
class Reply:
    """What the HTTP server answers once."""

    status: int = 200
    headers: dict[str, str] = field(factory=dict)
    body: bytes = b"ok"


@define(eq=False)
class Recorder:
    """What came, and what is answered."""

    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(factory=list)
    """Path, headers by lower-case name, body."""
    replies: list[Reply] = field(factory=list)
    """The next answers; then 200."""


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            recorder.requests.append((self.path, headers, body))
            reply = recorder.replies.pop(0) if recorder.replies else Reply()
            self.send_response(reply.status)
            for name, value in ({"Content-Length": str(len(reply.body))} | reply.headers).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(reply.body)
            except OSError:  # the other side has heard enough
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test's output is its own."""

    return Handler


def _serve(context: ssl.SSLContext | None) -> Iterator[Recorder]:
    recorder = Recorder()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(recorder)) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        recorder.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def http_server() -> Iterator[Recorder]:
    """An HTTP server on 127.0.0.1."""
    yield from _serve(None)


@pytest.fixture
def https_server(certificate: tuple[Path, Path]) -> Iterator[Recorder]:
    """An HTTPS server on 127.0.0.1, for the name `good.test`."""
    yield from _serve(_server_context(certificate))


@pytest.fixture
def make_reply() -> type[Reply]:
    """Makes answers."""
    return Reply


def _server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for `good.test` that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.test")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@define(eq=False)
class Mailbox:
    """A mail server's view: what it took, and what it answers."""

    port: int = 0
    mails: list[tuple[str, list[str], bytes]] = field(factory=list)
    """Sender, recipients, and the text as it came."""
    refuse: dict[str, str] = field(factory=dict)
    """Answers to recipients that are refused."""
    answer: str = "250 OK"
    logins: list[tuple[bytes, bytes]] = field(factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("2"):
            self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return self.answer

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"open sesame", handled=False)


class _MailServer(Controller):
    """On a port of the system's choice."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def make_mail_server(certificate: tuple[Path, Path]) -> Iterator[Callable[..., Mailbox]]:
    """Starts mail servers: `security` as in the settings; with a login where it is not `none`."""
    running: list[Controller] = []

    def start(security: str = "none") -> Mailbox:
        mailbox = Mailbox()
        context = _server_context(certificate)
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0, "server_hostname": "mail.test"}
        if security == "tls":
            options |= {"ssl_context": context, "authenticator": mailbox.authenticate, "auth_require_tls": False}
        elif security == "starttls":
            options |= {"tls_context": context, "require_starttls": True, "authenticator": mailbox.authenticate}
        server = _MailServer(mailbox, **options)
        server.start()
        running.append(server)
        mailbox.port = server.port
        return mailbox

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def make_policy() -> Callable[..., AddressPolicy]:
    """Makes policies that know every name, at 127.0.0.1 by default, and allow that one address."""

    def make(*addresses: str, allowed: tuple[str, ...] = ("127.0.0.1/32",)) -> AddressPolicy:
        async def look_up(host: str, port: int) -> Sequence[str]:
            return addresses or ("127.0.0.1",)

        return AddressPolicy(allowed_networks=allowed, resolver=look_up)

    return make


@pytest.fixture
def notification() -> Notification:
    """An alert that fires, with all that could go wrong in its texts."""
    alert = Alert(
        id="a1",
        rule_id="r1",
        rule="CPU <high> & hot",
        severity=Severity.CRITICAL,
        condition="cpu > 0.8",
        message="at 93 %\r\nBcc: everybody@example.com",
        values={"cpu": 0.93},
        started_at=1_750_000_000.0,
    )
    return Notification(event="alert_triggered", alert=alert)
