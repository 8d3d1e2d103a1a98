"""The Python client: `async with connect(url) as client`."""

from __future__ import annotations

from rtcore.client.client import connect
from rtcore.client.events import DroppedNotice, DroppedRange, ReceivedEvent, RecoveryNotice
from rtcore.client.feed import ChannelStart
from rtcore.client.reconnecting import Client
from rtcore.client.settings import ClientSettings
from rtcore.client.state import ClientState, ClientStatistics
from rtcore.client.subscription import Subscription
from rtcore.client.tokens import Token

__all__ = [
    "ChannelStart",
    "Client",
    "ClientSettings",
    "ClientState",
    "ClientStatistics",
    "DroppedNotice",
    "DroppedRange",
    "ReceivedEvent",
    "RecoveryNotice",
    "Subscription",
    "Token",
    "connect",
]
