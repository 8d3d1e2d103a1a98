"""Webhooks, Slack and SMS gateways, against a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trio

from rtcore.errors import DeliveryFailed
from rtcore.features.alerts.channels.addresses import AddressPolicy
from rtcore.features.alerts.channels.http_post import HttpPoster
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.channels.targets import open_targets
from rtcore.features.alerts.channels.webhook import SlackSender, SmsSender, WebhookSender
from rtcore.features.alerts.settings import AlertSettings, EmailTarget, SlackTarget, SmsTarget, WebhookTarget
from rtcore.values.secret import Secret

TEMPLATE = AlertSettings().template


@pytest.fixture
def post(http_server: Any, make_policy: Callable[..., AddressPolicy]) -> Callable[..., Any]:
    """Posts to a path of the server; `seconds` bounds it."""

    async def send(path: str = "/hook", *, seconds: float = 10.0, name: str = "good.test") -> None:
        poster = HttpPoster(make_policy(), seconds=seconds)
        await poster.post(f"http://{name}:{http_server.port}{path}", {"X-Own": "1"}, b"{}")

    return send


async def test_webhook_gets_the_whole_alert_signed(
    http_server: Any, make_policy: Callable[..., AddressPolicy], notification: Notification
) -> None:
    url = f"http://good.test:{http_server.port}/hook?token=T0KEN"
    target = WebhookTarget(url=url, signing_key="K3Y", authorization="Bearer B3ARER")
    await WebhookSender(target, HttpPoster(make_policy(), seconds=10)).send(notification)
    ((path, headers, body),) = http_server.requests
    assert path == "/hook?token=T0KEN"
    assert headers["host"] == f"good.test:{http_server.port}"
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer B3ARER"
    assert headers["x-rtcore-delivery"] == "a1.alert_triggered"
    assert abs(int(headers["x-rtcore-timestamp"]) - time.time()) < 60
    signed = headers["x-rtcore-timestamp"].encode() + b"." + body
    assert headers["x-rtcore-signature"] == "sha256=" + hmac.new(b"K3Y", signed, hashlib.sha256).hexdigest()
    document = json.loads(body)
    assert (document["type"], document["delivery_id"]) == ("alert_triggered", "a1.alert_triggered")
    assert document["data"] == json.loads(json.dumps(notification.alert.document()))


async def test_slack_gets_a_line_that_cannot_become_markup(
    http_server: Any, make_policy: Callable[..., AddressPolicy], notification: Notification
) -> None:
    target = SlackTarget(url=f"http://good.test:{http_server.port}/services/T/B/X")
    await SlackSender(target, HttpPoster(make_policy(), seconds=10), TEMPLATE).send(notification)
    ((_, _, body),) = http_server.requests
    assert json.loads(body) == {
        "text": "[critical] CPU &lt;high&gt; &amp; hot firing: at 93 %\r\nBcc: everybody@example.com"
    }


@pytest.mark.parametrize("form", ["json", "form"])
async def test_sms_gateway_gets_its_fields(
    http_server: Any, make_policy: Callable[..., AddressPolicy], notification: Notification, form: Any
) -> None:
    target = SmsTarget(
        url=f"http://good.test:{http_server.port}/send",
        recipients=["+15550100", "+15550101"],
        format=form,
        to_field="number",
        fields={"key": "S3CRET"},
        text_length=30,
    )
    await SmsSender(target, HttpPoster(make_policy(), seconds=10), TEMPLATE, "+15550101").send(notification)
    ((_, headers, body),) = http_server.requests
    expected = {"key": "S3CRET", "number": "+15550101", "text": "[critical] CPU <high> & hot..."}
    if form == "json":
        assert json.loads(body) == expected
    else:
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qs(body.decode()) == {name: [value] for name, value in expected.items()}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_success_is_success(post: Any, http_server: Any, make_reply: Any, status: int) -> None:
    http_server.replies = [make_reply(status, body=b"")]
    await post()


@pytest.mark.parametrize(
    ("status", "transient"),
    [(301, False), (302, False), (307, False), (400, False), (401, False), (403, False), (404, False), (410, False),
     (408, True), (425, True), (429, True), (500, True), (501, False), (502, True), (503, True), (504, True)],
)  # fmt: skip
async def test_failure_is_for_good_or_for_now_by_its_status(
    post: Any, http_server: Any, make_reply: Any, status: int, transient: bool
) -> None:
    http_server.replies = [make_reply(status)]
    with pytest.raises(DeliveryFailed, match=f"^answered with HTTP status {status}$") as caught:
        await post()
    assert caught.value.transient is transient


async def test_redirect_is_not_followed(post: Any, http_server: Any, make_reply: Any) -> None:
    """It could lead inside."""
    http_server.replies = [make_reply(302, {"Location": f"http://127.0.0.1:{http_server.port}/inside"})]
    with pytest.raises(DeliveryFailed, match="302"):
        await post()
    assert [path for path, _, _ in http_server.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("120", 120, 120), ("0", 0, 0), ("soon", None, None), ("-5", None, None), ("9" * 30, 999_999_999, 999_999_999),
     (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3000, 3600),
     ("Mon, 01 Jan 2001 00:00:00 GMT", 0, 0), ("Mon, 01 Jan 2001", None, None),
     ("Mon, 01 Jan 2001 00:00:00 -0000", None, None),
     ("Mon, 01 Jan 2001 00:00:00 +99999999999999999", None, None),
     ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None, None)],
    ids=["seconds", "none", "words", "negative", "endless", "date", "past", "cut", "zone", "far zone", "far year"],
)  # fmt: skip
async def test_retry_after_is_read(
    post: Any, http_server: Any, make_reply: Any, value: str, least: float | None, most: float | None
) -> None:
    http_server.replies = [make_reply(503, {"Retry-After": value})]
    with pytest.raises(DeliveryFailed) as caught:
        await post()
    assert caught.value.transient, "whatever it asks for"
    if least is None or most is None:
        assert caught.value.retry_after is None
    else:
        assert caught.value.retry_after is not None
        assert least <= caught.value.retry_after <= most


async def test_answer_without_end_is_cut(post: Any, http_server: Any, make_reply: Any) -> None:
    """The status counts."""
    http_server.replies = [make_reply(200, {"Content-Length": "1000000000"}, b"x" * 10_000_000)]
    await post()


async def test_answer_that_is_packed_is_not_unpacked(post: Any, http_server: Any, make_reply: Any) -> None:
    http_server.replies = [make_reply(200, {"Content-Encoding": "gzip"}, b"no gzip at all")]
    await post()


async def test_server_that_does_not_answer_is_left(make_policy: Callable[..., AddressPolicy]) -> None:
    """On a listening socket that nobody reads from; the one real pause of these tests."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    with pytest.raises(DeliveryFailed, match=r"^no answer within 0\.2 s$") as caught:
        await HttpPoster(make_policy(), seconds=0.2).post(f"http://good.test:{port}/", {}, b"")
    assert caught.value.transient
    for listener in listeners:
        await listener.aclose()


async def test_server_that_hangs_up_or_speaks_another_language_is_tried_again(
    make_policy: Callable[..., AddressPolicy],
) -> None:
    replies = [b"", b"220 mail.example ESMTP\r\n"]

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(replies.pop(0))
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), answer, 0)
        url = f"http://good.test:{listeners[0].socket.getsockname()[1]}/"
        for _ in range(2):
            with pytest.raises(DeliveryFailed) as caught:
                await HttpPoster(make_policy(), seconds=10).post(url, {}, b"")
            assert caught.value.transient
            assert str(caught.value) in ("the answer is not HTTP", "the connection broke")
        nursery.cancel_scope.cancel()


async def test_first_address_that_takes_the_connection_is_used(
    http_server: Any, make_policy: Callable[..., AddressPolicy]
) -> None:
    policy = make_policy("127.0.0.2", "127.0.0.1", allowed=("127.0.0.0/8",))
    await HttpPoster(policy, seconds=10).post(f"http://good.test:{http_server.port}/", {}, b"")
    assert len(http_server.requests) == 1


async def test_checked_address_is_the_one_that_is_connected_to(
    http_server: Any, make_policy: Callable[..., AddressPolicy]
) -> None:
    """The server is at 127.0.0.1, and the name leads elsewhere."""
    policy = make_policy("127.0.0.2", allowed=("127.0.0.0/8",))
    with pytest.raises(DeliveryFailed, match="cannot connect"):
        await HttpPoster(policy, seconds=10).post(f"http://localhost:{http_server.port}/", {}, b"")
    assert http_server.requests == []


async def test_nobody_at_any_address_is_for_now(make_policy: Callable[..., AddressPolicy]) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    with pytest.raises(DeliveryFailed, match=r"^cannot connect$") as caught:
        await HttpPoster(make_policy(), seconds=10).post(f"http://good.test:{port}/", {}, b"")
    assert caught.value.transient


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_nothing_inside_is_connected_to(http_server: Any, host: str) -> None:
    """With the system's own resolver and the settings as they are by default."""
    target = WebhookTarget(url=f"http://{host}:{http_server.port}/")
    (sender,) = open_targets(AlertSettings(webhooks={"ops": target})).senders.values()
    notification = Notification(event="alert_triggered", alert=_alert())
    with pytest.raises(DeliveryFailed, match=r"not a public address|cannot be resolved"):
        await sender.send(notification)
    assert http_server.requests == []


async def test_private_addresses_can_be_allowed(http_server: Any) -> None:
    target = WebhookTarget(url=f"http://127.0.0.1:{http_server.port}/")
    for settings in (
        AlertSettings(webhooks={"ops": target}, allow_private_addresses=True),
        AlertSettings(webhooks={"ops": target}, allowed_networks=("127.0.0.0/8",)),
    ):
        (sender,) = open_targets(settings).senders.values()
        await sender.send(Notification(event="alert_triggered", alert=_alert()))
    assert len(http_server.requests) == 2


async def test_name_that_answers_differently_a_moment_later_gains_nothing(http_server: Any) -> None:
    """DNS rebinding: the checked address is the one that is connected to, and the name is asked once."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    policy = AddressPolicy(allowed_networks=("127.0.0.1/32",), resolver=rebinding)
    await HttpPoster(policy, seconds=10).post(f"http://good.test:{http_server.port}/", {}, b"")
    assert (asked, len(http_server.requests)) == (["good.test"], 1)
    with pytest.raises(DeliveryFailed, match=r"10\.0\.0\.1, which is not a public address"):
        await HttpPoster(policy, seconds=10).post(f"http://good.test:{http_server.port}/", {}, b"")


async def test_proxy_of_the_environment_is_not_used(
    post: Any, http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await post()
    assert http_server.requests[0][0] == "/hook"


async def test_tls_is_verified_against_the_name(
    https_server: Any, make_policy: Callable[..., AddressPolicy], certificate: tuple[Path, Path]
) -> None:
    trusting = HttpPoster(make_policy(), seconds=10, ca_file=str(certificate[0]))
    await trusting.post(f"https://good.test:{https_server.port}/", {}, b"")
    with pytest.raises(DeliveryFailed, match="cannot connect"):
        await trusting.post(f"https://other.test:{https_server.port}/", {}, b"")
    with pytest.raises(DeliveryFailed, match="cannot connect"):
        await HttpPoster(make_policy(), seconds=10).post(f"https://good.test:{https_server.port}/", {}, b"")
    assert len(https_server.requests) == 1


async def test_secrets_are_in_no_error_log_or_repr(
    http_server: Any, make_reply: Any, caplog: pytest.LogCaptureFixture, notification: Notification
) -> None:
    """Whatever goes wrong: the URL with its token, the key, the header."""
    target = WebhookTarget(
        url=f"http://127.0.0.1:{http_server.port}/S3CRET?key=S3CRET",
        signing_key="S3CRET",
        authorization="S3CRET",
    )
    said = [repr(target)]
    with caplog.at_level(logging.DEBUG):
        for settings in (
            AlertSettings(webhooks={"ops": target}, allow_private_addresses=True),
            AlertSettings(webhooks={"ops": target}),
        ):
            targets = open_targets(settings)
            said += [repr(settings), repr(targets), repr(list(targets.senders.values()))]
            http_server.replies = [make_reply(500, body=b"S3CRET")]
            with pytest.raises(DeliveryFailed) as caught:
                await targets.senders["ops"].send(notification)
            said += [str(caught.value), repr(caught.value)]
    assert "S3CRET" not in " ".join(said)
    assert "S3CRET" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "file:///etc/passwd", "//a.example", "a.example", "http://", "http:///x", "http://a b/",
     "http://user:pw@a.example/", "http://a.example/#x", "http://a.example:99999/", "http://a.example:0/",
     "http://a.example\\@b.example/", "http://\u00e4.example/", "http://a.example/\r\nX: y", "http://[::1%25eth0]/",
     ""],
)  # fmt: skip
def test_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected an http or https URL"):
        WebhookTarget(url=url)


@pytest.mark.parametrize("value", ["Bearer a\r\nX-Other: b", " a", "", "a\x00", "\u00e4"])
def test_header_that_could_become_another_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="expected a header value"):
        WebhookTarget(url="http://a.example/", authorization=value)


def test_channels_of_a_rule_are_kinds_and_names() -> None:
    settings = AlertSettings(
        webhooks={"a": _webhook(), "b": _webhook()},
        sms={"duty": SmsTarget(url=Secret("http://s.example/"), recipients=("+15550100", "+15550101"))},
        email={"team": EmailTarget(host="m.example", sender="a@m.example", recipients=("b@m.example",))},
    )
    targets = open_targets(settings)
    assert targets.known() == ["dashboard", "webhook", "slack", "sms", "email", "a", "b", "duty", "team"]
    assert targets.of(["dashboard", "webhook", "a", "duty"]) == ["a", "b", "duty/1", "duty/2"]
    assert targets.of(["sms", "email"]) == ["duty/1", "duty/2", "team"]
    assert targets.idle(["dashboard", "slack", "sms"]) == ["slack"]


def _webhook() -> WebhookTarget:
    return WebhookTarget(url=Secret("http://a.example/"))


def _alert() -> Any:
    from rtcore.features.alerts.alert import Alert, Severity

    return Alert(
        id="a", rule_id="r", rule="n", severity=Severity.LOW, condition="c", message="m", values={}, started_at=0.0
    )
