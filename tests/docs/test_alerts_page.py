"""The page on alerts: its settings are taken, its conditions are read, and it leaves nothing out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from rtcore.errors import ConditionError
from rtcore.features.alerts.announcements import AlertEvent
from rtcore.features.alerts.channels.targets import open_targets
from rtcore.features.alerts.parsing import FUNCTION_NAMES, parse_condition
from rtcore.features.alerts.rule import RuleBody, check_rule
from rtcore.features.alerts.settings import TEXT_NAMES, AlertSettings
from rtcore.features.alerts.tokens import DURATION_UNITS
from rtcore.protocol.wire_fields import read_object
from rtcore.server.settings import Settings
from rtcore.server.settings_sources import load_settings
from rtcore.values.limits import Limits

Blocks = list[tuple[str, str]]
PAGE = "docs/features/alerts.md"
TEXT = (Path(__file__).parents[2] / PAGE).read_text(encoding="utf-8")


def test_settings_of_the_page_are_taken(tmp_path: Path, blocks_of: Callable[..., Blocks]) -> None:
    texts = [text for _, text in blocks_of(PAGE, "toml")]
    (text,) = [text for text in texts if "[features.alerts" in text]
    targets = open_targets(settings_of(tmp_path, text).features.alerts)
    assert targets.of(["webhook", "slack", "sms", "email"]) == ["ops", "team", "duty/1", "mail"]


def settings_of(folder: Path, text: str) -> Settings:
    file = folder / "rtcore.toml"
    file.write_text(text.replace("...", "secret"))
    return load_settings(file)


def test_rule_of_the_page_is_taken_from_everybody_with_the_setting_beside_it(
    tmp_path: Path, blocks_of: Callable[..., Blocks]
) -> None:
    ((_, command),) = blocks_of(PAGE, "console")
    body = read_object(json.loads(command.split("-d '")[1].split("'")[0]), RuleBody)
    check_rule(body, Limits(), known_channels=("dashboard", "webhook"))
    (text,) = [text for _, text in blocks_of(PAGE, "toml") if "anonymous_roles" in text]
    assert settings_of(tmp_path, text).anonymous_roles & AlertSettings().roles


def test_condition_and_error_of_the_page_are_those_of_the_code(blocks_of: Callable[..., Blocks]) -> None:
    texts = [text.strip() for _, text in blocks_of(PAGE, "text")]
    (condition,) = [text for text in texts if text.startswith("avg(")]
    parse_condition(condition, Limits())
    (error,) = [text for text in texts if text.startswith("condition: ")]
    with pytest.raises(ConditionError) as caught:
        parse_condition("cpu_utilization >", Limits())
    assert error == f"condition: {caught.value}"


def test_page_leaves_nothing_out() -> None:
    for name in (*FUNCTION_NAMES, *(event.value for event in AlertEvent), *(f"${name}" for name in TEXT_NAMES)):
        assert name in TEXT, name
    for field in attrs.fields(RuleBody):
        assert f"| `{field.metadata['rtcore.name'] or field.name}` |" in TEXT, field.name
    assert all(f"`{number}{unit}`" in TEXT for number, unit in zip((500, 10, 5, 1, 1), DURATION_UNITS, strict=True))
