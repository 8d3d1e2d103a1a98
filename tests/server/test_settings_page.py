"""`docs/settings.md` is true: every setting is there with its default, and its examples work."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest

from rtcore.errors import SettingsError
from rtcore.features.activity.settings import ActivitySettings
from rtcore.features.alerts.settings import AlertSettings, EmailTarget, SlackTarget, SmsTarget, WebhookTarget
from rtcore.features.approvals.settings import ApprovalSettings
from rtcore.features.delivery_queue.settings import QueueSettings
from rtcore.features.metric_streams.settings import MetricSettings
from rtcore.features.notifications.settings import NotificationSettings
from rtcore.features.outputs.settings import OutputSettings
from rtcore.features.presence.settings import PresenceSettings
from rtcore.features.support_chat.settings import SupportChatSettings
from rtcore.features.typing.settings import TypingSettings
from rtcore.server.profile_settings import ProfileSettings
from rtcore.server.settings import AuthenticationSettings, KeySettings, Settings, StoreSettings, TlsSettings
from rtcore.server.settings_sources import OTHER_VARIABLES, load_settings
from rtcore.values.channels import Namespace
from rtcore.values.limits import Limits

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
SECTIONS: dict[str, type] = {
    "Server": Settings,
    "Limits": Limits,
    "Namespaces": Namespace,
    "Profiles": ProfileSettings,
    "Features: activity": ActivitySettings,
    "Features: approvals": ApprovalSettings,
    "Features: alerts": AlertSettings,
    "Alerts: webhooks": WebhookTarget,
    "Alerts: Slack": SlackTarget,
    "Alerts: SMS": SmsTarget,
    "Alerts: email": EmailTarget,
    "Features: notifications": NotificationSettings,
    "Features: outputs": OutputSettings,
    "Features: support_chat": SupportChatSettings,
    "Features: presence": PresenceSettings,
    "Features: typing": TypingSettings,
    "Features: metrics": MetricSettings,
    "Features: queues": QueueSettings,
    "Authentication": AuthenticationSettings,
    "Keys": KeySettings,
    "Store": StoreSettings,
    "TLS": TlsSettings,
}
ROW = re.compile(r"\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


def section(title: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    match = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, title
    return match[1]


def block(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def shown_default(field: attrs.Attribute[Any]) -> str:
    """A default as the page writes it: as TOML would, and a word where TOML has no way."""
    default = field.default
    if default is attrs.NOTHING:
        return "required"
    if default is not None and hasattr(default, "factory"):
        return "none" if default.factory is dict else "its defaults"
    if default == {}:
        return "none"
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, (tuple, frozenset)):
        default = sorted(default)
    return "none" if default is None else f"`{json.dumps(default)}`"


@pytest.mark.parametrize("title", SECTIONS)
def test_page_has_each_setting_with_its_true_default(title: str) -> None:
    """No more, no fewer, in the order of the code, each with a unit and a reason."""
    rows = [match.groups() for match in ROW.finditer(section(title))]
    fields = attrs.fields(SECTIONS[title])
    assert [(name, default) for name, _, default, _ in rows] == [(field.name, shown_default(field)) for field in fields]
    assert all(unit.strip() and reason.strip() for _, unit, _, reason in rows)


def test_example_file_of_the_page_is_accepted(tmp_path: Path) -> None:
    """Copied as it stands."""
    file = tmp_path / "rtcore.toml"
    file.write_text(block("toml"))
    settings = load_settings(file)
    assert settings.limits.connections == 5000
    assert settings.authentication is not None
    assert settings.authentication.keys["main"].secret_file == tmp_path / "secret.txt"


def test_example_environment_of_the_page_is_accepted() -> None:
    """With a secret in the place of its dots."""
    lines = (line.partition("=") for line in block("sh").splitlines())
    settings = load_settings(environ={name: value.strip("'").replace("...", "x" * 32) for name, _, value in lines})
    assert settings.origins == ("https://app.example", "https://other.example")
    assert settings.authentication is not None


def test_example_faults_of_the_page_are_those_of_the_code(tmp_path: Path) -> None:
    """To the letter."""
    file = tmp_path / "rtcore.toml"
    file.write_text(
        '[limits]\nmessages_per_second = "fast"\nconections = 5\n'
        '[authentication.keys.main]\nalgorithm = "HS256"\nsecret = "short"\n'
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {"RTCORE_PORT": "0x50"})
    assert sorted(str(caught.value).splitlines()) == sorted(block("text").splitlines())


def test_variables_that_are_no_settings_are_all_named() -> None:
    """Whoever sets a misspelt one is told; these pass, so a reader should know them."""
    (sentence,) = re.findall(r"lower case\. (.*?) are no settings of the server", PAGE.read_text("utf-8"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == OTHER_VARIABLES
