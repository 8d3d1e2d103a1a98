"""`read_roles` hold over HTTP as for a subscription."""

from __future__ import annotations

from typing import Any

import pytest

from rtcore.values.channels import Namespace
from rtcore.values.identity import Identity

IDENTITIES = {
    "ann": Identity(user="ann", workspace="w1", roles={"staff"}),
    "bob": Identity(user="bob", workspace="w1"),
}
NAMESPACES = {name: Namespace(read_roles={"staff"}) for name in ("approvals", "presence")}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/approvals",
        "/realtime/presence/workspace/w1",
        "/realtime/presence/user/ann/workspace/w1",
        "/realtime/stats/workspace/w1",
    ],
)
async def test_route_that_reads_is_for_those_who_may_subscribe(path: str, open_api: Any) -> None:
    async with open_api(identities=IDENTITIES, namespaces=NAMESPACES) as api:
        answers = [await api.client.get(path, headers={"Authorization": f"Bearer {user}"}) for user in ("ann", "bob")]
        assert [answer.status_code for answer in answers] == [200, 403]
        assert answers[1].json()["error"]["code"] == "access.denied"
