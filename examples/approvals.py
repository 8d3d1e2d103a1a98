"""
An agent asks before it deploys, and a person decides, each over a connection of its own.

    python examples/approvals.py

The approver comes after the question was asked: what is open is the first thing that is told. Tokens say who is who.
"""

from __future__ import annotations

import jwt
import trio

import rtcore

SECRET = "a secret of at least thirty-two bytes"
KEYS = rtcore.AuthenticationSettings(keys={"main": rtcore.KeySettings(algorithm="HS256", secret=SECRET)})


def token(user: str, role: str, now: float) -> str:
    claims = {"sub": user, "workspace": "shop", "roles": [role], "exp": now + 600}
    return jwt.encode(claims, SECRET, algorithm="HS256")


async def agent(url: str, token: str, asked: trio.Event) -> None:
    """Somewhere else, in another process: it must not deploy before somebody said so."""
    question = {"title": "Deploy 1.4?", "details": {"to": "production"}, "quorum": 1, "key": "deploy-1.4"}
    async with rtcore.connect(url, token=token) as client, client.subscribe("approvals:shop") as events:
        opened = (await client.request("approval.request", question))["approval"]
        print(f"agent    asked {opened['title']!r}")
        asked.set()
        async for event in events:
            if event.type == "approval.decided" and event.data["approval_id"] == opened["approval_id"]:
                decision = event.data["decision"]
                print(f"agent    {decision['outcome']} by {decision['by']}: {decision['reason']}")
                break
    print("deploy 1.4 to production" if decision["outcome"] == "approved" else "do nothing")


async def approver(url: str, token: str) -> None:
    """What the page at `/ws/approvals` does."""
    async with rtcore.connect(url, token=token) as client:
        for approval in (await client.request("approval.list", {}))["approvals"]:
            print(
                f"approver sees {approval['title']!r} by {approval['asked_by']}, may decide: {approval['can_decide']}"
            )
            answer = {"approval_id": approval["approval_id"], "decision": "approve", "reason": "tests are green"}
            await client.request("approval.decide", answer)


async def main() -> None:
    settings = rtcore.Settings(port=0, authentication=KEYS)
    async with rtcore.open_hub() as hub, trio.open_nursery() as nursery:
        server = await nursery.start(rtcore.serve, hub, settings)
        asked = trio.Event()
        async with trio.open_nursery() as people:
            people.start_soon(agent, server.url, token("bot", "publisher", hub.clock()), asked)
            await asked.wait()
            people.start_soon(approver, server.url, token("zoe", "approver", hub.clock()))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
