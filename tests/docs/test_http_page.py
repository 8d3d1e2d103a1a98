"""docs/http.md: its table has every request that the server answers, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from rtcore.application import ApplicationHub
from rtcore.server.openapi import openapi_document
from rtcore.server.rest.modules import rest_modules
from rtcore.values.limits import Limits

PAGE = Path(__file__).parents[2] / "docs" / "http.md"
_ROW = re.compile(r"^\| `([A-Z]+ /[^`]*)` \|", re.MULTILINE)


def test_table_has_the_requests_of_the_openapi_document() -> None:
    """With all features, since a program that has fewer knows which. HEAD is in the sentence below the table."""
    limits = Limits()
    rest = rest_modules(ApplicationHub(limits=limits).registry)
    document = openapi_document(version="1", limits=limits, authentication=True, metrics_public=False, rest=rest)
    paths = document["paths"]
    assert isinstance(paths, dict)
    requests = {f"{method.upper()} {path}" for path, item in paths.items() for method in item if method != "parameters"}
    wanted = sorted(request for request in requests if not request.startswith("HEAD "))
    assert {f"HEAD {each.removeprefix('GET ')}" for each in wanted if each.startswith("GET ")} <= requests
    assert sorted(_ROW.findall(PAGE.read_text(encoding="utf-8"))) == wanted
