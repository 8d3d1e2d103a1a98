"""What the OpenAPI document says of a notification's body is what decides whether it is sent."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.http.test_openapi import DOCUMENT, IDENTITIES, LIMITS, QUIET, check_answer, fits, json_values

drafts = st.fixed_dictionaries(
    {"title": st.text(max_size=3) | st.just("x" * 201), "workspace": st.sampled_from(["w1", "w1", "w" * 256, "", 5])},
    optional={
        "user": st.sampled_from(["ann", "a b", "ada@example.com", "urn:x:1", "x" * 256, None, 1]),
        "kind": st.sampled_from(["crisis", "review", None, "gossip", 7]),
        "level": st.sampled_from(["info", "error", None, "fatal"]),
        "body": st.text(max_size=3) | st.none(),
        "actions": st.lists(
            st.fixed_dictionaries(
                {"id": st.sampled_from(["a", ""]), "label": st.text(max_size=2)},
                optional={"url": st.sampled_from(["/x", "//x", "https://x", "HTTP://x", "ftp://x", "/ x", None])},
            ),
            max_size=1,
        )
        | st.none(),
        "data": json_values,
        "key": st.text(max_size=2) | st.none(),
        "persistent": st.sampled_from([True, None, 1]),
        "progress": st.sampled_from([0, 100, 50.5, 101, -1, True, None]),
        "expires_after": st.sampled_from([1, 0.001, 0, 1e9, "5", None]),
        "escalate": st.just([]) | st.none() | st.just([{"user": 5}]),
        "receipts": st.sampled_from([False, None, 0]),
        "extra": json_values,
    },
)


@settings(QUIET, max_examples=200)
@given(body=drafts | json_values)
async def test_a_notification_is_accepted_if_and_only_if_it_fits_its_schema(open_api: Any, body: Any) -> None:
    path = "/realtime/notifications/send"
    schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    async with open_api(limits=LIMITS, identities=IDENTITIES) as api:
        response = await api.client.post(path, json=body, headers={"Authorization": "Bearer admin"})
        check_answer("POST", path, response)
        assert (response.status_code == 200) == fits(body, schema), response.text
