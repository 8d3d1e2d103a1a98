"""Mail, against a real SMTP server."""

from __future__ import annotations

import contextlib
import email
import email.policy
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.channels.addresses import AddressPolicy
from rtcore.features.alerts.channels.email import EmailSender, compose
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.settings import AlertSettings, EmailTarget
from rtcore.values.secret import Secret

MakeSender = Callable[..., EmailSender]
TEMPLATE = AlertSettings().template


@pytest.fixture
def make_sender(make_policy: Callable[..., AddressPolicy], certificate: tuple[Path, Path]) -> MakeSender:
    """Makes senders to the server at a port, which trust the tests' certificate."""

    def make(port: int, *, trusting: bool = True, **options: Any) -> EmailSender:
        given = {"host": "good.test", "sender": "alerts@example.com", "recipients": ("a@example.com", "b@example.com")}
        target = EmailTarget(**(given | {"port": port, "security": "none"} | options))
        return EmailSender(target, make_policy(), TEMPLATE, 10.0, str(certificate[0]) if trusting else None)

    return make


def read(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


async def test_mail_comes_as_it_should(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification
) -> None:
    mailbox = make_mail_server()
    await make_sender(mailbox.port).send(notification)
    ((sender, recipients, raw),) = mailbox.mails
    assert (sender, recipients) == ("alerts@example.com", ["a@example.com", "b@example.com"])
    message = read(raw)
    assert message["Subject"] == "[critical] CPU <high> & hot firing"
    assert (message["From"], message["To"]) == ("alerts@example.com", "a@example.com, b@example.com")
    assert message["Message-ID"] == "<a1.alert_triggered@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime is not None
    text = message.get_content()
    assert text.startswith("[critical] CPU <high> & hot firing: at 93 %")


async def test_nothing_in_an_alert_becomes_a_header(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification
) -> None:
    evil = "x\r\nBcc: victim@example.com\r\n\r\n<script>\x00\u2028\u0085Reply-To: a@b"
    alert = evolve(notification.alert, rule=evil, message=evil)
    mailbox = make_mail_server()
    sender = make_sender(mailbox.port, subject="$rule")
    await sender.send(Notification(event="alert_triggered", alert=alert))
    ((_, recipients, raw),) = mailbox.mails
    message = read(raw)
    assert recipients == ["a@example.com", "b@example.com"]
    assert {name.lower() for name in message} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "content-type", "content-transfer-encoding",
        "mime-version",
    }  # fmt: skip
    assert message["Subject"] == "x Bcc: victim@example.com <script> Reply-To: a@b"


async def test_text_of_any_language_and_lines_with_dots_arrive_whole(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification
) -> None:
    alert = evolve(notification.alert, rule="Last \u00fcber 80 % \U0001f525", message="one\n.\n..two\n" + "x" * 5000)
    mailbox = make_mail_server()
    await make_sender(mailbox.port).send(Notification(event="alert_triggered", alert=alert))
    message = read(mailbox.mails[0][2])
    assert message["Subject"] == "[critical] Last \u00fcber 80 % \U0001f525 firing"
    assert "one\n.\n..two\n" + "x" * 5000 in message.get_content().replace("\r\n", "\n")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_login_goes_over_tls_alone(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification, security: str
) -> None:
    mailbox = make_mail_server(security)
    login = {"security": security, "username": "alerts", "password": "open sesame"}
    await make_sender(mailbox.port, **login).send(notification)
    assert (len(mailbox.mails), mailbox.logins) == (1, [(b"alerts", b"open sesame")])
    with pytest.raises(DeliveryFailed, match=r"^the mail server answered 535$") as caught:
        await make_sender(mailbox.port, **(login | {"password": "wrong S3CRET"})).send(notification)
    assert not caught.value.transient
    assert "S3CRET" not in repr(make_sender(mailbox.port, **(login | {"password": "wrong S3CRET"})))


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_certificate_is_verified_against_the_name(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification, security: str
) -> None:
    mailbox = make_mail_server(security)
    for options in ({"host": "other.test"}, {"trusting": False}):
        with pytest.raises(DeliveryFailed, match="certificate is not trusted") as caught:
            await make_sender(mailbox.port, security=security, **options).send(notification)
        assert not caught.value.transient
    assert mailbox.mails == []


async def test_server_without_starttls_gets_nothing(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification
) -> None:
    """Somebody in between can take STARTTLS out of the answer: then nothing must go out in the clear."""
    mailbox = make_mail_server("none")
    with pytest.raises(DeliveryFailed, match="does not offer what the settings ask for"):
        await make_sender(mailbox.port, security="starttls").send(notification)
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("answer", "transient"),
    [("451 later", True), ("421 closing", True), ("552 too much", False), ("554 no", False)],
)
async def test_refusal_is_for_good_or_for_now_by_its_code(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification, answer: str, transient: bool
) -> None:
    mailbox = make_mail_server()
    mailbox.answer = answer
    with pytest.raises(DeliveryFailed, match=f"^the mail server answered {answer[:3]}$") as caught:
        await make_sender(mailbox.port).send(notification)
    assert caught.value.transient is transient


async def test_mail_reaches_those_who_are_not_refused_and_says_that_others_are(
    make_mail_server: Any, make_sender: MakeSender, notification: Notification
) -> None:
    mailbox = make_mail_server()
    mailbox.refuse = {"a@example.com": "550 nobody"}
    with pytest.raises(DeliveryFailed, match=r"^the mail server refused 1 of 2 recipients: 550$") as caught:
        await make_sender(mailbox.port).send(notification)
    assert not caught.value.transient  # the other one must not have it once more
    assert mailbox.mails[0][1] == ["b@example.com"]
    mailbox.refuse["b@example.com"] = "450 later"
    with pytest.raises(DeliveryFailed, match="refused all recipients: 450, 550") as caught:
        await make_sender(mailbox.port).send(notification)
    assert caught.value.transient
    mailbox.refuse["b@example.com"] = "550 nobody"
    with pytest.raises(DeliveryFailed, match="refused all recipients: 550") as caught:
        await make_sender(mailbox.port).send(notification)
    assert not caught.value.transient


async def test_server_that_is_not_there_is_tried_again(make_sender: MakeSender, notification: Notification) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    with pytest.raises(DeliveryFailed, match="cannot connect") as caught:
        await make_sender(port).send(notification)
    assert caught.value.transient


async def test_server_inside_is_not_connected_to(make_mail_server: Any, notification: Notification) -> None:
    mailbox = make_mail_server()
    target = EmailTarget(
        host="localhost",
        port=mailbox.port,
        security="none",
        sender="a@example.com",
        recipients=("b@example.com",),
    )
    with pytest.raises(DeliveryFailed, match="not a public address"):
        await EmailSender(target, AddressPolicy(), TEMPLATE, 10.0).send(notification)
    assert mailbox.mails == []


async def test_silent_server_is_left(make_sender: MakeSender, notification: Notification) -> None:
    """On a listening socket that nobody reads from; the thread ends by the same time limit."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sender = evolve(make_sender(listeners[0].socket.getsockname()[1]), seconds=0.2)
    with pytest.raises(
        DeliveryFailed, match=r"no answer within 0.2 s|cannot connect, or the connection broke"
    ) as caught:
        await sender.send(notification)
    assert caught.value.transient
    await listeners[0].aclose()


async def test_server_that_never_ends_its_answer_keeps_no_thread(
    make_sender: MakeSender, notification: Notification
) -> None:
    """Each line comes within the socket's time limit; the attempt as a whole has one, too, and is cut at it."""
    connections: list[trio.SocketStream] = []

    async def talk(stream: trio.SocketStream) -> None:
        connections.append(stream)
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"220-and so on\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, talk, 0, host="127.0.0.1"))
        sender = evolve(make_sender(listeners[0].socket.getsockname()[1]), seconds=0.3)
        for _ in range(4):  # more than it has threads
            with pytest.raises(DeliveryFailed, match=r"no answer within 0.3 s"):
                await sender.send(notification)
        with trio.fail_after(10):
            while sender._threads.borrowed_tokens:
                await trio.lowlevel.checkpoint()
        assert len(connections) == 4
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        nursery.cancel_scope.cancel()


def test_hook_into_the_standard_library_is_still_there() -> None:
    """The connection to the checked address comes in by a method that smtplib overrides itself for TLS."""
    assert "_get_socket" in vars(smtplib.SMTP)
    assert "_get_socket" in vars(smtplib.SMTP_SSL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"username": "a"}, "expected username and password, or neither of them"),
        ({"username": "a", "password": "b", "security": "none"}, "where there is a password"),
        ({"recipients": ()}, "at least one recipient"),
        ({"recipients": ("a@b.example\r\nBcc: x@y.example",)}, "recipients.0.: expected a mail address"),
        ({"sender": "Somebody <a@b.example>"}, "sender: expected a mail address"),
        ({"host": "a b"}, "host: expected a host name"),
        ({"host": "a\r\nb"}, "host: expected a host name"),
        ({"subject": "$nothing"}, "subject: expected text in which"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    given = {"host": "m.example", "sender": "a@b.example", "recipients": ("c@d.example",)}
    with pytest.raises(ValueError, match=message):
        EmailTarget(**(given | options))


def test_subject_is_bounded(notification: Notification) -> None:
    target = EmailTarget(
        host="m.example", sender="a@b.example", recipients=("c@d.example",), password=None, subject="$rule"
    )
    alert = evolve(notification.alert, rule="x" * 1000)
    subject = compose(target, Notification(event="alert_triggered", alert=alert), TEMPLATE)["Subject"]
    assert subject == "x" * 197 + "..."
    assert Secret("x") not in (target.password,)
