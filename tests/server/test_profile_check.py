"""Endpoints that are well written each, and could not work: told when the server is made, every one with its path."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from pathlib import Path

import pytest

import rtcore
from rtcore.application import ApplicationHub
from rtcore.errors import SettingsError
from rtcore.hub.dialect import Dialect
from rtcore.hub.hub import Hub
from rtcore.server.profile_check import check_profiles
from rtcore.server.profile_settings import ProfileSettings
from rtcore.server.profiles import ECHO
from rtcore.server.server import Server
from rtcore.server.settings import Settings
from rtcore.values.commands import REPLIES


def faults_of(settings: Settings) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        check_profiles(settings, ApplicationHub().registry)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/api/v1/publish", "/api/v1/publish"),
        ("/api/v1/channels/tasks/history", "/api/v1/channels/{name}/history"),
        ("/api/v1/dashboard/alerts", "/api/v1/dashboard/alerts"),
        ("/metrics", "/metrics"),
        ("/openapi.json", "/openapi.json"),
    ],
)
def test_path_that_http_serves_is_no_endpoints(path: str, served: str) -> None:
    """Whatever came there over HTTP would be answered that it should have been a WebSocket."""
    words = f'expected a path at which nothing is over HTTP, got "{path}", where {served} is'
    assert faults_of(Settings(profiles={"a": ProfileSettings(path=path)})) == [f"$.profiles.a.path: {words}"]
    assert faults_of(Settings(path=path)) == [f"$.path: {words}"]


async def test_handlers_of_an_application_are_held_to_the_same() -> None:
    with pytest.raises(SettingsError, match=r"endpoints: .* where /healthz is"):
        Server(Hub(), endpoints={"/healthz": ECHO})
    with pytest.raises(SettingsError, match="endpoints: there is one at /ws already"):
        Server(Hub(), endpoints={"/ws": ECHO})
    Server(Hub(), Settings(profiles={"root": ProfileSettings(path="/")}), endpoints={"/raw": ECHO})


def test_one_path_has_one_endpoint() -> None:
    """The reader's own setting is named, and what it collides with."""
    profiles = {"mine": ProfileSettings(path="/ws/metrics"), "a": ProfileSettings(path="/echo")}
    assert faults_of(Settings(profiles=profiles, echo=True)) == [
        '$.profiles.mine.path: expected a path of its own, got "/ws/metrics", which is that of $.profiles.metrics.path',
        '$.profiles.a.path: expected a path of its own, got "/echo", which is that of $.echo',
    ]
    check_profiles(Settings(profiles={"a": ProfileSettings(path="/echo")}), ApplicationHub().registry)
    off = ProfileSettings(enabled=False)
    moved = Settings(profiles={"metrics": off, "mine": ProfileSettings(path="/ws/metrics")})
    check_profiles(moved, ApplicationHub().registry)


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        ({"commands": {"a": "publsh"}}, '.commands.a: expected a command that there is, got "publsh"; did you mean'),
        ({"schedules": {"nope": 1}}, '.schedules.nope: expected a command that there is, got "nope"'),
        ({"schedules": {"heartbeat": 1}}, ".schedules.heartbeat: expected a command of a feature that is answered"),
        ({"schedules": {"metrics.data": 1}}, '.schedules["metrics.data"]: expected a command of a feature that is'),
        ({"schedules": {"typing.start": 1}}, '.schedules["typing.start"]: expected a command that needs no data; '),
        ({"events": {"error": "x"}}, '.events.error: event type "error" is reserved'),
        ({"events": {"a b": "x"}}, '.events["a b"]: event type must be letters'),
        ({"replies": {"error": "x"}}, ".replies.error: expected another reply, since errors are called so everywhere"),
        ({"replies": {"heartbeet": "x"}}, '.replies.heartbeet: expected a reply that there is, got "heartbeet"; did'),
        ({"replies": {"metrics.datum": "x"}}, '.replies["metrics.datum"]: expected a reply that there is, got "me'),
        ({"replies": {"published": "error"}}, ".replies.published: expected a name that no other message of the serv"),
        ({"replies": {"acked": "heartbeat"}}, ".replies.acked: expected a name that no other message of the server"),
        ({"events": {"task.progress": "error"}}, '.events["task.progress"]: expected a name that no other message'),
        ({"dialect": "dashbord"}, '.dialect: expected one of activity, dashboard, '),
    ],
)
def test_name_that_stands_for_nothing_is_refused(profile: dict[str, object], fault: str) -> None:
    """A schedule of a command that there is not would never fire, and nobody would be told."""
    settings = Settings(profiles={"mine": ProfileSettings(path="/mine", **profile)})  # type: ignore[arg-type]  # any field
    (found,) = faults_of(settings)
    assert found.startswith(f"$.profiles.mine{fault}")


def test_names_of_features_and_dialects_are_known() -> None:
    mine = ProfileSettings(
        path="/mine",
        dialect="support_chat",
        commands={"a": "publish", "b": "metrics.data", "c": "request_queue_update"},
        schedules={"request_queue_update": 5, "alert.list": 60},
        events={"task.progress": "progress"},
        replies={"published": "said", "acked": "ack", "queue_updated": "queue", "history": "history"},
    )
    check_profiles(Settings(profiles={"mine": mine}), ApplicationHub().registry)


def test_features_of_an_application_may_leave_their_replies_untold() -> None:
    """Then no name can be held against a profile; what is reserved still is."""
    hub = ApplicationHub()
    hub.registry.join(object(), dialects={"mine": Dialect()})
    for replies, passes in (({"anything": "x"}, True), ({"anything": "dropped"}, False)):
        settings = Settings(profiles={"mine": ProfileSettings(path="/mine", replies=replies)})
        with nullcontext() if passes else pytest.raises(SettingsError, match="no other message of the server"):
            check_profiles(settings, hub.registry)


def test_every_reply_of_a_feature_is_told() -> None:
    """Read from the sources: each literal type of a reply, also where a function of its module makes the reply."""
    replies = ApplicationHub().registry.replies
    assert replies is not None
    made = set[str]()
    for file in Path(rtcore.__file__).parent.glob("features/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                first = node.args[0]
                if node.func.id in {"Reply", "_reply", "_told"} and isinstance(first, ast.Constant):
                    made.add(first.value)
    assert made - REPLIES == replies - {"presence:online:list"}, "the one that has a name of its own in the source"


@pytest.mark.parametrize("channel", ["{user}", "{workspace}:news", "inbox:{user"])
def test_channel_that_cannot_be_for_every_user_is_refused(channel: str) -> None:
    """Of names such as `ada@example.com` it would begin with the `~` that they are written with, and be no channel."""
    with pytest.raises(ValueError, match=r"channels\[0\]: expected a channel such as"):
        ProfileSettings(path="/mine", channels=(channel,))


@pytest.mark.parametrize("commands", [{1: "x"}, {("a", 1): "x"}, {b"k": "x"}])
def test_name_that_is_no_text_is_named_as_far_as_that_goes(commands: object) -> None:
    with pytest.raises(ValueError, match=r"^commands\[.*\]: expected text that is not empty, got"):
        ProfileSettings(path="/mine", commands=commands)  # type: ignore[arg-type]  # on purpose
