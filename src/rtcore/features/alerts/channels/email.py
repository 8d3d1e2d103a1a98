"""
Alerts as mail, over the standard library's SMTP client in a worker thread.

The connection goes to an address that was checked; TLS is verified against the server's name. What a rule or a sample
puts into a subject cannot become another header: control characters are taken out, and the message class refuses them
besides.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime
from typing import Final

import trio
from attrs import define, field

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.channels.addresses import AddressPolicy
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.settings import EmailTarget

__all__ = ["EmailSender", "compose"]

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_SUBJECT_LENGTH: Final = 200  # characters; many programs show less
_TEXT_LENGTH: Final = 10_000
_LASTING: Final = range(500, 600)
"""Replies that stay the same however often one asks. Source: RFC 5321, section 4.2.1."""
_THREADS: Final = 2  # of one target: the next attempt need not wait for one that is being ended


def compose(target: EmailTarget, notification: Notification, template: str) -> EmailMessage:
    """The mail about an alert."""
    message = EmailMessage(policy=SMTP)
    message["From"] = target.sender
    message["To"] = ", ".join(target.recipients)
    message["Subject"] = _one_line(notification.alert.text(target.subject, _SUBJECT_LENGTH))
    message["Date"] = format_datetime(localtime())
    # The same for each attempt, so that a mail which came twice is seen as one.
    message["Message-ID"] = f"<{notification.id}@{target.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no vacation notice in answer. Source: RFC 3834, section 5.
    message.set_content(notification.alert.text(template, _TEXT_LENGTH))
    return message


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@define(eq=False)
class EmailSender:
    """Sends mail over one server."""

    target: EmailTarget
    policy: AddressPolicy
    template: str
    seconds: float
    ca_file: str | None = None
    _threads: trio.CapacityLimiter = field(init=False, factory=lambda: trio.CapacityLimiter(_THREADS), repr=False)
    """Its own: a mail server that hangs keeps no thread from anybody else."""

    async def send(self, notification: Notification) -> None:
        """Try once; see `Sender`. Cancelled, or too late, the connection is cut, and its thread ends by that."""
        port = self.target.port or _PORTS[self.target.security]
        message = compose(self.target, notification, self.template)
        line = _Line()
        try:
            with trio.fail_after(self.seconds):
                addresses = await self.policy.addresses(self.target.host, port)
                await trio.to_thread.run_sync(
                    self._send, line, addresses, port, message, abandon_on_cancel=True, limiter=self._threads
                )
        except trio.TooSlowError:
            raise DeliveryFailed(f"no answer within {self.seconds:g} s", transient=True) from None
        finally:
            line.cut()

    def _send(self, line: _Line, addresses: Sequence[str], port: int, message: EmailMessage) -> None:
        """In a thread. Words of errors are ours: the server's may repeat what it was sent."""
        try:
            with _connect(self.target, line, addresses, port, self.seconds, self._tls_context()) as client:
                if self.target.username is not None and self.target.password is not None:
                    client.login(self.target.username, self.target.password.reveal())
                refused = client.send_message(message, self.target.sender, self.target.recipients)
        except smtplib.SMTPResponseException as error:
            lasting = error.smtp_code in _LASTING
            raise DeliveryFailed(f"the mail server answered {error.smtp_code}", transient=not lasting) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            lasting = all(code in _LASTING for code in codes)
            shown = ", ".join(map(str, sorted(codes)))
            raise DeliveryFailed(f"the mail server refused all recipients: {shown}", transient=not lasting) from None
        except smtplib.SMTPNotSupportedError:
            raise DeliveryFailed("the mail server does not offer what the settings ask for", transient=False) from None
        except ssl.SSLCertVerificationError as error:
            raise DeliveryFailed(f"its certificate is not trusted: {error.verify_message}", transient=False) from None
        except (smtplib.SMTPException, OSError):
            raise DeliveryFailed("cannot connect, or the connection broke", transient=True) from None
        if refused:  # for good, whatever the codes say: the others have it, and would have it once more
            shown = ", ".join(map(str, sorted({code for code, _ in refused.values()})))
            words = f"the mail server refused {len(refused)} of {len(self.target.recipients)} recipients: {shown}"
            raise DeliveryFailed(words, transient=False)

    def _tls_context(self) -> ssl.SSLContext | None:
        return None if self.target.security == "none" else ssl.create_default_context(cafile=self.ca_file)


class _Line:
    """
    The connection of one attempt, which can be cut while a thread waits on it.

    The socket's own time limit is for one read: a server that sends a byte now and then would never come to it.
    """

    def __init__(self) -> None:
        self._cut = False
        self._connection: socket.socket | None = None

    def hold(self, connection: socket.socket) -> None:
        """In the thread: this is the connection; an OSError where it is too late."""
        # A descriptor of its own: TLS takes the socket over, and closing one never touches a number used anew.
        self._connection = connection.dup()
        self.check()

    def check(self) -> None:
        """In the thread: an OSError where it is too late."""
        if self._cut:
            self.cut()
            raise TimeoutError("cut")

    def cut(self) -> None:
        """End it; in either thread, any number of times."""
        self._cut = True
        connection, self._connection = self._connection, None
        if connection is not None:
            with connection, contextlib.suppress(OSError):  # it has ended by itself
                connection.shutdown(socket.SHUT_RDWR)


class _CheckedSmtp(smtplib.SMTP):
    """A client whose connection is there already; the host's name is for TLS alone."""

    def __init__(self, host: str, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        # Named, because the default asks the system for its full name, which may take long and tells of the network.
        super().__init__(host, local_hostname="localhost", timeout=seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """What smtplib calls to connect, and overrides itself for TLS."""
        return self._connection


def _connect(
    target: EmailTarget,
    line: _Line,
    addresses: Sequence[str],
    port: int,
    seconds: float,
    context: ssl.SSLContext | None,
) -> smtplib.SMTP:
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(_open(line, addresses, port, seconds))
        line.hold(connection)
        if target.security == "tls" and context is not None:
            connection = undo.enter_context(context.wrap_socket(connection, server_hostname=target.host))
        client = _CheckedSmtp(target.host, connection, seconds)
        undo.callback(client.close)  # it holds the connection by a file of its own
        if target.security == "starttls":
            client.starttls(context=context)
        undo.pop_all()
    return client


def _open(line: _Line, addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    failure = OSError("no address")
    for address in addresses:
        line.check()
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            failure = error
    raise failure
