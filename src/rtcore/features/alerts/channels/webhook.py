"""Alerts as JSON to any URL, signed where a key is set; and as text to Slack and to SMS gateways."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlencode

from attrs import define, field

from rtcore.features.alerts.channels.http_post import HttpPoster
from rtcore.features.alerts.channels.notification import Notification
from rtcore.features.alerts.settings import SlackTarget, SmsTarget, WebhookTarget
from rtcore.protocol.json_codec import json_dumps

__all__ = ["SIGNATURE_HEADER", "SlackSender", "SmsSender", "WebhookSender", "signature"]

SIGNATURE_HEADER = "X-Rtcore-Signature"
_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SLACK_TEXT_LENGTH = 4000
"""Slack cuts longer messages by itself. Source: https://api.slack.com/changelog/2018-04-truncating-really-long-messages"""


def signature(key: str, timestamp: str, body: bytes) -> str:
    """
    What proves that a request is ours: `sha256=` and the HMAC of time, a dot and body, in hexadecimal.

    The time is part of it, so that a request which was caught cannot be sent again later.
    """
    return "sha256=" + hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@define(eq=False)
class WebhookSender:
    """Posts the whole alert."""

    target: WebhookTarget
    poster: HttpPoster = field(repr=False)

    async def send(self, notification: Notification) -> None:
        """Try once; see `Sender`."""
        body = json_dumps(
            {"type": notification.event, "delivery_id": notification.id, "data": notification.alert.document()}
        )
        headers = _JSON | {"X-Rtcore-Delivery": notification.id} | _authorization(self.target)
        if self.target.signing_key is not None:
            now = str(int(time.time()))
            headers["X-Rtcore-Timestamp"] = now
            headers[SIGNATURE_HEADER] = signature(self.target.signing_key.reveal(), now, body)
        await self.poster.post(self.target.url.reveal(), headers, body)


@define(eq=False)
class SlackSender:
    """Posts a line of text to an incoming webhook."""

    target: SlackTarget
    poster: HttpPoster = field(repr=False)
    template: str

    async def send(self, notification: Notification) -> None:
        """Try once; see `Sender`."""
        text = notification.alert.text(self.template, _SLACK_TEXT_LENGTH)
        # These three and no others. Source: https://api.slack.com/reference/surfaces/formatting#escaping
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        await self.poster.post(self.target.url.reveal(), _JSON, json_dumps({"text": escaped}))


@define(eq=False)
class SmsSender:
    """Asks a gateway to send one text message to one recipient."""

    target: SmsTarget
    poster: HttpPoster = field(repr=False)
    template: str
    recipient: str

    async def send(self, notification: Notification) -> None:
        """Try once; see `Sender`."""
        fields = {name: secret.reveal() for name, secret in self.target.fields.items()}
        fields[self.target.to_field] = self.recipient
        fields[self.target.text_field] = notification.alert.text(self.template, self.target.text_length)
        as_json = self.target.format == "json"
        body = json_dumps(fields) if as_json else urlencode(fields).encode()
        headers = (_JSON if as_json else _FORM) | _authorization(self.target)
        await self.poster.post(self.target.url.reveal(), headers, body)


def _authorization(target: WebhookTarget | SmsTarget) -> dict[str, str]:
    return {} if target.authorization is None else {"Authorization": target.authorization.reveal()}
