"""Settings as a tree built in code."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtcore.errors import SettingsError
from rtcore.server.profile_settings import ProfileSettings
from rtcore.server.settings import (
    AuthenticationSettings,
    KeySettings,
    Settings,
    TlsSettings,
    check_conflicts,
    check_exposure,
    is_loopback,
)
from rtcore.server.settings_check import check_settings
from rtcore.server.settings_converter import settings_table
from rtcore.values.channels import Namespace
from rtcore.values.limits import Limits
from rtcore.values.secret import Secret

SECRET = "a secret of more than 32 bytes, not to be shown"
KEYS = {"main": KeySettings(algorithm="HS256", secret=SECRET)}


def test_settings_work_without_any_argument_and_listen_on_loopback() -> None:
    """Safe by default."""
    settings = Settings()
    assert (settings.host, settings.port, settings.path) == ("127.0.0.1", 8080, "/ws")
    assert not settings.exposed
    assert check_settings(settings) == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"port": "80"}, 'port: expected a whole number from 0 to 65535, got "80"'),
        ({"port": True}, "port: expected a whole number from 0 to 65535, got true"),
        ({"port": 65536}, "port: expected a whole number from 0 to 65535, got 65536"),
        ({"path": "ws"}, 'path: expected a path such as "/ws", got "ws"'),
        ({"path": "/ws?x"}, 'path: expected a path such as "/ws", got "/ws?x"'),
        ({"echo": 1}, "echo: expected true or false, got 1"),
        ({"anonymous_roles": "admin"}, 'each item text that is not empty, got "admin"'),
        (
            {"origins": ["https://a/b"]},
            'origins[0]: expected "*" or an origin such as "https://app.example", got "https://a/b"',
        ),
        (
            {"trusted_proxies": ["10.0.0.1/8"]},
            'trusted_proxies[0]: expected a network such as "10.0.0.0/8", got "10.0.0.1/8"',
        ),
        ({"compression": "zip"}, 'compression: expected one of "none", "fast", "default", "best", got "zip"'),
        ({"drain_close_code": 1006}, "expected 1001, 1012, 1013 or a code from 4000 to 4999, got 1006"),
        ({"heartbeat_seconds": float("nan")}, "heartbeat_seconds: expected a number over 0, got nan"),
        (
            {"namespaces": {"a:b": Namespace()}},
            'namespaces["a:b"]: expected a name that a channel may have, without a colon, got "a:b"',
        ),
        ({"namespaces": {"b": Namespace(), "a b": Namespace()}}, 'namespaces["a b"]: expected a name that a channel'),
        ({"profiles": {"mine": ProfileSettings()}}, 'profiles["mine"]: expected a path, since only activity, '),
        ({"namespaces": {"a": 5}}, 'namespaces["a"]: expected a table of options, got 5'),
        ({"anonymous_roles": 5}, "anonymous_roles: expected a list, each item text that is not empty, got 5"),
        ({"anonymous_roles": None}, "anonymous_roles: expected a list, each item text that is not empty, got nothing"),
        ({"anonymous_roles": {"a": 1}}, "each item text that is not empty, got a table"),
        ({"anonymous_roles": [b"x"]}, 'anonymous_roles["bytes"]: expected text that is not empty, got bytes'),
        ({"anonymous_roles": [["a"]]}, "anonymous_roles[0]: expected text that is not empty, got a list"),
        ({"anonymous_roles": b"abc"}, "anonymous_roles: expected a list, each item text that is not empty, got bytes"),
        ({"anonymous_roles": {"a", ""}}, 'anonymous_roles[""]: expected text that is not empty, got ""'),
        ({"namespaces": ["a"]}, "each name that of a channel and without a colon, got a list"),
        ({"namespaces": object()}, "got object"),
    ],
)
def test_wrong_value_in_code_is_refused_by_name(arguments: dict[str, object], message: str) -> None:
    """The same words as for a file."""
    with pytest.raises(ValueError, match=r"expected") as caught:
        Settings(**arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "HS256", "secret": "short"}, "expected a secret of at least 32 bytes, got 5 bytes"),
        ({"algorithm": "HS256"}, "exactly one of secret, secret_file, key_set for HS256, got none"),
        ({"algorithm": "RS256", "secret": SECRET}, "exactly one of public_key, key_set for RS256, got secret"),
        ({"algorithm": "none", "secret": SECRET}, 'expected one of "HS256", "RS256", "ES256", "EdDSA", got "none"'),
        (
            {"algorithm": "HS256", "secret": SECRET, "secret_file": Path("x")},
            "exactly one of secret, secret_file, key_set for HS256, got secret, secret_file",
        ),
    ],
)
def test_wrong_key_is_refused_without_showing_it(arguments: dict[str, object], message: str) -> None:
    """A key has one algorithm and one place."""
    with pytest.raises(ValueError, match=r"expected") as caught:
        KeySettings(**arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)


def test_secrets_are_hidden_from_repr_and_reports() -> None:
    """A log line with the settings in it must not open the door."""
    settings = Settings(
        authentication=AuthenticationSettings(keys=KEYS),
        tls=TlsSettings(certificate=Path("c"), key=Path("k"), key_password="swordfish"),
    )
    shown = repr(settings) + str(settings) + repr(settings_table(settings))
    assert SECRET not in shown
    assert "swordfish" not in shown
    assert "(hidden)" in shown


def test_secret_compares_by_content_and_cannot_be_pickled() -> None:
    """A wrapper that prints nothing, and is a value otherwise."""
    assert Secret("x") == Secret("x") != Secret("y")
    assert Secret("x") != "x"
    assert len({Secret("x"), Secret("x")}) == 1
    with pytest.raises(TypeError):
        Secret("x").__reduce__()
    with pytest.raises(TypeError):
        Secret(b"x")  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "rt.example", "2001:db8::1"])
def test_exposed_server_without_authentication_is_refused_with_what_to_do(host: str) -> None:
    """Beyond loopback, no authentication is a decision and never an accident."""
    with pytest.raises(SettingsError) as caught:
        check_exposure(Settings(host=host))
    for word in (host, "[authentication.keys]", "127.0.0.1", "--allow-anonymous"):
        assert word in str(caught.value)
    check_exposure(Settings(host=host, allow_anonymous=True))
    check_exposure(Settings(host=host, authentication=AuthenticationSettings(keys=KEYS)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_is_recognised(host: str) -> None:
    """These cannot be reached from other machines."""
    assert is_loopback(host)
    check_exposure(Settings(host=host))


def test_values_that_contradict_each_other_are_all_named() -> None:
    """One line per fault."""
    limits = Limits(request_line_bytes=512, request_head_bytes=256, batch_events=10, batch_events_maximum=5)
    with pytest.raises(SettingsError) as caught:
        check_conflicts(Settings(limits=limits))
    assert str(caught.value).splitlines() == [
        "$.limits.request_line_bytes: expected at most 256 (limits.request_head_bytes), got 512",
        "$.limits.batch_events: expected at most 5 (limits.batch_events_maximum), got 10",
    ]


def test_check_gathers_the_faults_of_every_kind(tmp_path: Path) -> None:
    """Whoever mends settings wants to see all of it at once, and code is held to the rules of files."""
    settings = Settings(
        host="0.0.0.0",
        limits=Limits(connections=2.5, drain_seconds=float("inf"), batch_seconds=11),  # type: ignore[arg-type]
        tls=TlsSettings(certificate=tmp_path / "c", key=tmp_path / "k"),
    )
    with pytest.raises(SettingsError) as caught:
        check_settings(settings)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "$.limits.connections",
        "$.limits.drain_seconds",
        "$.limits.batch_seconds",
        "$.host",
        "$.tls.certificate",
    ]


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (Settings(host="0.0.0.0", allow_anonymous=True), "$.anonymous_roles"),
        (Settings(origins=("*",)), "$.origins"),
        (Settings(host="0.0.0.0", authentication=AuthenticationSettings(keys=KEYS)), "$.tls"),
        (
            Settings(authentication=AuthenticationSettings(keys=KEYS), allow_anonymous=True),
            "$.allow_anonymous",
        ),
        (
            Settings(authentication=AuthenticationSettings(keys=KEYS, require_expiry=False)),
            "$.authentication.require_expiry",
        ),
        (Settings(limits=Limits(connections=5, connections_per_address=6)), "$.limits.connections_per_address"),
    ],
)
def test_what_is_unwise_is_a_warning(settings: Settings, path: str) -> None:
    """Allowed, and perhaps not meant."""
    assert [warning.partition(":")[0] for warning in check_settings(settings)] == [path]
