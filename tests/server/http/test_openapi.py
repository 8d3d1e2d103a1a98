"""
The OpenAPI document is true, both ways.

Whatever is sent, the answer is one that the document allows: its status, its content type, its headers and its body.
And what it says of bodies is what decides: one that fits its schema is accepted, one that does not is refused.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rtcore.application import ApplicationHub
from rtcore.protocol.json_codec import json_dumps, json_loads
from rtcore.server.http_api import ROUTES
from rtcore.server.openapi import openapi_document
from rtcore.server.rest.modules import rest_modules
from rtcore.values.events import RESERVED_TYPES, parse_timestamp
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

LIMITS = Limits(publish_body_bytes=2_000, publish_batch_events=3, type_length=20, message_burst=10_000)
REST = rest_modules(ApplicationHub(limits=LIMITS).registry)
DOCUMENT: dict[str, Any] = openapi_document(
    version="1.2.3", limits=LIMITS, authentication=True, metrics_public=False, rest=REST
)
IDENTITIES = {"admin": Identity(user="root", workspace="w1", roles={"admin"}), "reader": Identity(user="reader")}
OPERATIONS = [
    (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"
]

OTHERS = sorted(
    {
        parameter["name"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }
)
"""Query parameters of all operations: each is tried on each."""

QUIET = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


# A validator for as much of JSON Schema as the document uses; another keyword is an error, so nothing is passed over.


def resolve(node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        target: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def is_type(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def fits(value: Any, schema: Any) -> bool:
    """Whether a value is valid."""
    schema = resolve(schema)
    return all(KEYWORDS[keyword](value, argument, schema) for keyword, argument in schema.items())


def is_time(value: Any) -> bool:
    try:
        return parse_timestamp(value) is not None
    except ValueError:
        return False


KEYWORDS: dict[str, Any] = {
    "description": lambda value, argument, schema: True,
    "type": lambda value, names, schema: any(
        is_type(value, name) for name in ([names] if isinstance(names, str) else names)
    ),
    "enum": lambda value, choices, schema: any(value == choice and type(value) is type(choice) for choice in choices),
    "const": lambda value, constant, schema: value == constant,
    "anyOf": lambda value, schemas, schema: any(fits(value, each) for each in schemas),
    "oneOf": lambda value, schemas, schema: sum(fits(value, each) for each in schemas) == 1,
    "minLength": lambda value, least, schema: not isinstance(value, str) or len(value) >= least,
    "maxLength": lambda value, most, schema: not isinstance(value, str) or len(value) <= most,
    "pattern": lambda value, pattern, schema: (
        not isinstance(value, str) or re.search(pattern, value, re.ASCII) is not None
    ),
    "format": lambda value, name, schema: name == "date-time" and is_time(value),
    "minimum": lambda value, least, schema: not is_type(value, "number") or value >= least,
    "maximum": lambda value, most, schema: not is_type(value, "number") or value <= most,
    "exclusiveMinimum": lambda value, least, schema: not is_type(value, "number") or value > least,
    "minItems": lambda value, least, schema: not isinstance(value, list) or len(value) >= least,
    "maxItems": lambda value, most, schema: not isinstance(value, list) or len(value) <= most,
    "items": lambda value, each, schema: not isinstance(value, list) or all(fits(item, each) for item in value),
    "allOf": lambda value, schemas, schema: all(fits(value, each) for each in schemas),
    "not": lambda value, argument, schema: not fits(value, argument),
    "minProperties": lambda value, least, schema: not isinstance(value, dict) or len(value) >= least,
    "maxProperties": lambda value, most, schema: not isinstance(value, dict) or len(value) <= most,
    "propertyNames": lambda value, names, schema: (
        not isinstance(value, dict) or all(fits(name, names) for name in value)
    ),
    "required": lambda value, names, schema: not isinstance(value, dict) or all(name in value for name in names),
    "properties": lambda value, properties, schema: (
        not isinstance(value, dict)
        or all(fits(value[name], each) for name, each in properties.items() if name in value)
    ),
    "additionalProperties": lambda value, rule, schema: (
        not isinstance(value, dict)
        or all(
            name in schema.get("properties", {}) or (rule is not False and fits(item, rule))
            for name, item in value.items()
        )
    ),
}


def check_answer(method: str, path: str, response: httpx.Response) -> None:
    """Whether the document allows this answer."""
    operation = DOCUMENT["paths"][path][method.lower()]
    status = str(response.status_code)
    assert status in operation["responses"], f"{method} {path} answered {status}: {response.text[:300]}"
    allowed = resolve(operation["responses"][status])
    for name, header in allowed.get("headers", {}).items():
        present = name.lower() in response.headers
        assert present or not header.get("required", False), f"{status} without {name}"
    if method == "HEAD":
        assert response.content == b""
        return
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in allowed["content"], f"{status} with {media_type}"
    if media_type == "application/json":
        body = json_loads(response.content, 100)
        assert fits(body, allowed["content"][media_type]["schema"]), response.text[:1000]


# Requests, good and bad

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.:~-]{0,11}\Z")  # of channels: types have no tilde
publications = st.fixed_dictionaries(
    {"channel": names | st.text(max_size=3), "type": names | st.text(max_size=25), "data": json_values},
    optional={
        "lane": st.sampled_from(["high", "normal", "low", None, "urgent", 0]),
        "key": st.text(max_size=3) | st.none() | st.integers(-9, 9),
        "extra": json_values,
    },
)
CONDITIONS = ["a > 1", "avg(a, 1m) > 2 and not b"]
milliseconds = st.sampled_from([0, 1000, 999, -1, 2_592_000_000, 2_592_000_001, 1.5, None])
rules = st.fixed_dictionaries(
    {
        "name": st.text(max_size=3) | st.just("x" * 129),
        "condition": st.sampled_from([*CONDITIONS, "a >", "", "x" * 1001]) | json_values,
        "severity": st.sampled_from(["low", "medium", "high", "critical", "bad", None]),
    },
    optional={
        "channels": st.none() | st.lists(st.sampled_from(["dashboard", "webhook", "pager", ""]), max_size=21),
        "cooldown": milliseconds,
        "for": milliseconds,
        "stream": st.none() | st.text(max_size=3),
        "message": st.sampled_from(["all", "$a", "$b", "$", "", None]),
        "absent": st.none()
        | st.fixed_dictionaries({"after": milliseconds, "state": st.sampled_from(["firing", "resolved", "x"])})
        | json_values,
        "notify_resolved": st.none() | st.booleans() | st.just(1),
        "extra": json_values,
    },
)
mutilated = st.builds(
    lambda whole, drop: {k: v for k, v in whole.items() if k != drop},
    publications,
    st.text(max_size=1) | st.sampled_from(["channel", "type", "data"]),
)
bodies = st.one_of(
    rules,
    rules,
    publications,
    mutilated,
    st.fixed_dictionaries({"events": st.lists(publications, max_size=4) | json_values}),
    st.fixed_dictionaries(
        {"decision": st.sampled_from(["approve", "maybe"])}, optional={"reason": st.text(max_size=3)}
    ),
    st.fixed_dictionaries(
        {}, optional={"token_id": st.text(max_size=3) | st.none(), "user": st.text(max_size=3) | st.none()}
    ),
    json_values,
)
contents = bodies.map(json_dumps) | st.binary(max_size=30) | st.just(b'{"channel":"c","data":"' + b"x" * 3_000 + b'"}')
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": st.sampled_from(["Bearer admin", "Bearer admin", "Bearer reader", "Bearer wrong", "Basic x"])
        | printable,
        "Content-Type": st.sampled_from(["application/json", "application/json", "text/plain", ""]),
        "Idempotency-Key": st.sampled_from(["one", "two", "x" * 300, ""]) | printable,
        "Origin": st.just("https://evil.example"),
        "Accept": st.sampled_from(["application/openmetrics-text; version=1.0.0", "text/html"]) | printable,
    },
)
parameters = st.dictionaries(
    st.sampled_from(["position", "since", "offset", "timestamp", "seconds", "last", "limit", "where", *OTHERS])
    | st.text(max_size=4),
    st.sampled_from(["1", "0", "2025-01-15T12:00:00Z", "abc-1", '{"type":"a*"}', '{"a":{"gt":1}}', '{"a":{}}'])
    | st.text(max_size=6),
    max_size=3,
)


@QUIET
@given(
    data=st.data(),
    headers=headers,
    parameters=st.just({}) | parameters,
    content=contents,
    name=names | st.text(min_size=1, max_size=4),
)
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda value: value)
async def test_every_answer_is_one_that_the_document_allows(
    open_api: Any,
    method: str,
    path: str,
    data: Any,
    headers: dict[str, str],
    parameters: dict[str, str],
    content: bytes,
    name: str,
) -> None:
    target = re.sub(r"\{\w+\}", lambda _: quote(name, safe=""), path)
    async with open_api(limits=LIMITS, identities=IDENTITIES) as api:
        api.hub.publish("a", "b", {"x": 1}, key="k")
        api.around.draining = data.draw(st.booleans())
        request = api.client.build_request(
            method, target, params=parameters, headers=headers, content=content if method == "POST" else None
        )
        response = await api.client.send(request)
        if "{" in path and "/" in name:
            assert response.status_code in (401, 403, 404)  # another path, to which the document says nothing
            return
        check_answer(method, path, response)


@QUIET
@given(body=bodies)
@example(body={"channel": "a~40b", "type": "t", "data": 1})
@example(body={"channel": "a", "type": "t~40", "data": 1})
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/publish",
        "/api/v1/publish/batch",
        "/api/v1/revoke",
        "/api/v1/approvals/{approval_id}/decision",
        "/api/v1/dashboard/alerts",
    ],
)
async def test_a_body_is_accepted_if_and_only_if_it_fits_its_schema(open_api: Any, path: str, body: Any) -> None:
    schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    async with open_api(limits=LIMITS, identities=IDENTITIES) as api:
        target = path.replace("{approval_id}", await open_approval(api) if "{approval_id}" in path else "")
        response = await api.client.post(target, json=body, headers={"Authorization": "Bearer admin"})
        check_answer("POST", path, response)
        assert (response.status_code == 200) == (fits(body, schema) and not breaks_a_rule_in_words(body)), response.text


async def open_approval(api: Any) -> str:
    """Something to decide."""
    approval = await api.hub.approvals.open("Deploy?", identity=Identity(user="x", workspace="w1"))
    return str(approval.approval_id)


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
operators = st.sampled_from(["eq", "in", "gt", "gte", "lt", "lte", "ne"])
conditions = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(operators, st.integers(-9, 9) | st.text(max_size=2), max_size=2),
    st.fixed_dictionaries({"in": st.lists(scalars, max_size=2)}),
    st.lists(st.sampled_from(["gt", "gte", "lt", "lte"]), min_size=2, max_size=3, unique=True).map(
        lambda bounds: dict.fromkeys(bounds, 1)
    ),
    json_values,
)
fields = st.sampled_from(["a", "a.b", "type", "event_type", "channel", ".type"])
odd_fields = st.sampled_from(["", "a..b", ".", "a.", "x" * 256, ".".join("a" * 17)]) | st.text(max_size=3)
wheres = st.one_of(
    st.builds(lambda name, condition: {name: condition}, fields, conditions),
    st.dictionaries(fields | odd_fields, conditions, max_size=3),
    json_values,
)


@settings(QUIET, max_examples=200)
@given(where=wheres)
async def test_a_filter_is_accepted_if_and_only_if_it_fits_its_schema(open_api: Any, where: Any) -> None:
    async with open_api(limits=LIMITS, identities=IDENTITIES) as api:
        path, request_headers = "/api/v1/channels/a/history", {"Authorization": "Bearer admin"}
        response = await api.client.get(path, params={"where": json_dumps(where).decode()}, headers=request_headers)
        check_answer("GET", "/api/v1/channels/{name}/history", response)
        assert (response.status_code == 200) == fits(where, DOCUMENT["components"]["schemas"]["Filter"]), response.text


def breaks_a_rule_in_words(body: Any) -> bool:
    """What the document says of bodies in words: reserved types, and names, channels and texts of alert rules."""
    return uses_reserved_type(body) or is_wrong_rule(body)


def is_wrong_rule(body: Any) -> bool:
    if not isinstance(body, dict) or "condition" not in body:
        return False
    message = body.get("message")
    return (
        body["condition"] not in CONDITIONS
        or not set(body.get("channels") or ()) <= {"dashboard", "webhook"}
        or (isinstance(message, str) and "$" in message and message != "$a")
    )


def uses_reserved_type(body: Any) -> bool:
    events = body.get("events", [body]) if isinstance(body, dict) else []
    return any(isinstance(event, dict) and event.get("type") in RESERVED_TYPES for event in events)


# The document itself


def test_it_has_exactly_the_routes_that_there_are() -> None:
    described = {(method, path) for method, path in OPERATIONS if method != "HEAD"}
    rules = [*ROUTES, *(rule for module in REST for rule in module.rules)]
    assert described == {(rule.method, rule.path) for rule in rules} | {("GET", "/metrics"), ("GET", "/openapi.json")}
    assert {path for method, path in OPERATIONS if method == "HEAD"} == {
        path for method, path in described if method == "GET"
    }


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    text = json_dumps(DOCUMENT).decode()
    used = set(re.findall(r'"\$ref":"#/components/(\w+)/(\w+)"', text))
    there = {(kind, name) for kind in ("schemas", "responses") for name in DOCUMENT["components"][kind]}
    assert used == there


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [DOCUMENT["paths"][path][method.lower()]["operationId"] for method, path in OPERATIONS]
    assert len(set(names)) == len(names)


def test_a_server_without_authentication_never_speaks_of_tokens() -> None:
    document = openapi_document(version="1", limits=LIMITS, authentication=False, metrics_public=False, rest=REST)
    for item in document["paths"].values():  # type: ignore[union-attr]
        for method, operation in item.items():  # type: ignore[union-attr]
            if method != "parameters":
                assert "401" not in operation["responses"]  # type: ignore[operator, index, call-overload]
                assert "security" not in operation  # type: ignore[operator]


async def test_it_is_served_as_it_is(open_api: Any) -> None:
    async with open_api(limits=LIMITS, identities=IDENTITIES) as api:
        assert (await api.client.get("/openapi.json")).json() == DOCUMENT
