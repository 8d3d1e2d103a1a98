"""
A rule watches measurements: a webhook and a subscriber are told, and the application helps itself.

    python examples/alerts.py

The rule asks for the mean of half a second, so that one bad measurement wakes nobody. When it fires, a hook adds
workers until the latency is well again, and the alert is resolved by that. The webhook is a server on this machine,
which is why the settings allow private addresses: by default nothing inside can be reached.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trio

import rtcore

RULE: dict[str, rtcore.Json] = {
    "name": "Slow answers",
    "condition": "avg(latency_ms, 500ms) > 200 and count(latency_ms, 500ms) >= 3",
    "severity": "high",
    "channels": ["dashboard", "webhook"],
    "message": "$latency_ms ms and rising",
    "cooldown": 1000,
}


class Receiver(BaseHTTPRequestHandler):
    """What might be a pager's server."""

    def do_POST(self) -> None:
        """Take an alert."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(f"webhook:   {body['type']}, {body['data']['rule']}: {body['data']['message']}")
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


async def measure(hub: rtcore.ApplicationHub, workers: list[str]) -> None:
    """Each measurement of a stream goes to `observe`: the fewer the workers, the slower."""
    for _ in range(40):
        hub.alerts.observe("web", {"latency_ms": round(600 / len(workers)), "workers": len(workers)})
        await trio.sleep(0.03)


async def work(hub: rtcore.ApplicationHub) -> None:
    """One run: too few workers, an alert, more workers, and no alert any more."""
    workers = ["first"]

    async def scale(alert: rtcore.Alert) -> None:
        while alert.state is rtcore.AlertState.FIRING and len(workers) < 4:
            workers.append("another")
            await trio.sleep(0.01)
        print(f"hook:      {alert.state}, {len(workers)} workers")

    hub.alerts.on_alert(scale, rule="Slow answers")
    await hub.alerts.add_rule(RULE)
    async with hub.subscribe("alerts") as events, trio.open_nursery() as nursery:
        nursery.start_soon(measure, hub, workers)
        async for event in events:
            assert isinstance(event.data, dict)
            print(f"dashboard: {event.type}, {event.data['rule']}")
            if event.type == "alert_resolved":
                break
        while hub.alerts.statistics().deliveries.delivered < 2:  # noqa: ASYNC110  # a program would go on anyway
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


async def main() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        alerts = rtcore.AlertSettings(webhooks={"pager": rtcore.WebhookTarget(url=url)}, allow_private_addresses=True)
        async with rtcore.open_hub(features=rtcore.FeatureSettings(alerts=alerts)) as hub:
            await work(hub)
            figures = hub.alerts.statistics()
        server.shutdown()
    print(f"alerts: {figures.triggered}, told: {figures.deliveries.delivered}, active: {figures.active}")


if __name__ == "__main__":
    trio.run(main)
