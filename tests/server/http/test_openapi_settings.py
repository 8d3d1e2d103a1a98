"""What the settings of a feature allow is what the OpenAPI document says."""

from __future__ import annotations

from typing import Any

from rtcore.application import ApplicationHub
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.features.settings import FeatureSettings
from rtcore.server.openapi import openapi_document
from rtcore.server.rest.modules import rest_modules
from rtcore.values.limits import Limits

SETTINGS = FeatureSettings(
    approvals=ApprovalSettings(reason_length=7, page_approvals=8),
    notifications=NotificationSettings(
        title_length=11, body_length=12, actions=3, escalation_steps=4, kept_seconds=100.0
    ),
)


def test_bounds_of_the_document_are_those_of_the_settings() -> None:
    hub = ApplicationHub(features=SETTINGS)
    document: Any = openapi_document(
        version="1", limits=Limits(), authentication=True, metrics_public=False, rest=rest_modules(hub.registry)
    )
    draft = document["components"]["schemas"]["NotificationDraft"]["properties"]
    assert (draft["title"]["maxLength"], draft["body"]["maxLength"]) == (11, 12)
    assert (draft["actions"]["maxItems"], draft["escalate"]["maxItems"]) == (3, 4)
    assert draft["expires_after"]["maximum"] == 100
    assert draft["escalate"]["items"]["properties"]["after"]["exclusiveMaximum"] == 100
    assert document["components"]["schemas"]["ApprovalDecision"]["properties"]["reason"]["maxLength"] == 7
    assert document["components"]["schemas"]["ApprovalPage"]["properties"]["approvals"]["maxItems"] == 8
    parameters = {each["name"]: each for each in document["paths"]["/api/v1/approvals"]["get"]["parameters"]}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 8, "default": 8}
