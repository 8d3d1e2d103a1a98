"""Settings from a file, the environment and flags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rtcore.errors import SettingsError
from rtcore.server.settings import Settings
from rtcore.server.settings_sources import load_settings
from rtcore.values.channels import Overflow, Scope

SECRET = "a secret of more than 32 bytes, not to be shown"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a settings file."""

    def write_text(content: str) -> Path:
        file = tmp_path / "rtcore.toml"
        file.write_text(content, encoding="utf-8")
        return file

    return write_text


def faults(*, file: Path | None = None, environ: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ, {name.replace("__", "."): value for name, value in flags.items()})
    return str(caught.value).splitlines()


def test_no_source_gives_the_defaults() -> None:
    """Every setting has a default."""
    assert load_settings() == Settings()


def test_later_sources_win(write: Write) -> None:
    """Defaults, then file, then environment, then flags, down to single fields of a table."""
    file = write("port = 1\npath = '/a'\nhost = 'localhost'\n[limits]\nconnections = 7\nlag_events = 7\n")
    environ = {"RTCORE_PORT": "2", "RTCORE_PATH": "/b", "RTCORE_LIMITS__LAG_EVENTS": "8", "HOME": "/x"}
    settings = load_settings(file, environ, {"port": "3", "path": None})
    assert (settings.host, settings.path, settings.port) == ("localhost", "/b", 3)
    assert (settings.limits.connections, settings.limits.lag_events) == (7, 8)


def test_whole_tree_is_read_from_a_file(write: Write, tmp_path: Path) -> None:
    """Tables, lists, choices, and paths relative to the file."""
    settings = load_settings(
        write(
            f"""
            origins = ["https://app.example", "*"]
            trusted_proxies = ["10.0.0.0/8"]
            [namespaces.inbox]
            scope = "user"
            overflow = "conflate"
            read_roles = ["a", "b"]
            history_seconds = 60
            [authentication]
            audience = ["rtcore"]
            [authentication.keys.main]
            algorithm = "HS256"
            secret = "{SECRET}"
            [authentication.keys.partner]
            algorithm = "RS256"
            key_set = "keys/partner.json"
            [tls]
            certificate = "/etc/server.crt"
            key = "server.key"
            """
        )
    )
    inbox = settings.namespaces["inbox"]
    assert (inbox.scope, inbox.overflow, inbox.read_roles) == (Scope.USER, Overflow.CONFLATE, frozenset({"a", "b"}))
    assert isinstance(inbox.history_seconds, float)
    assert settings.authentication is not None
    assert settings.authentication.audience == ("rtcore",)
    secret = settings.authentication.keys["main"].secret
    assert secret is not None
    assert secret.reveal() == SECRET
    assert settings.authentication.keys["partner"].key_set == tmp_path / "keys" / "partner.json"
    assert settings.tls is not None
    assert (settings.tls.certificate, settings.tls.key) == (Path("/etc/server.crt"), tmp_path / "server.key")


def test_every_fault_of_a_file_has_its_line(write: Write) -> None:
    """Paths, expectations, values; nothing is coerced."""
    file = write(
        """
        port = "80"
        origins = ["https://a.example", 5]
        log_level = 5
        prot = 80
        echo = 1
        tls = "yes"
        [limits]
        messages_per_second = "fast"
        connections = true
        history_seconds = inf
        message_bytes = 1.0
        filter_search_length = 65
        conections = 5
        [namespaces.chat]
        overflow = "never"
        history_events = -1
        read_roles = "admin"
        [namespaces."two words".x]
        """
    )
    assert sorted(faults(file=file)) == [
        "$.echo: expected true or false, got 1",
        '$.limits.conections: unknown setting; did you mean "connections"?',
        "$.limits.connections: expected a whole number of at least 1, got true",
        "$.limits.filter_search_length: expected a whole number from 0 to 64, got 65",
        "$.limits.history_seconds: expected a number over 0, got inf",
        "$.limits.message_bytes: expected a whole number of at least 1, got 1.0",
        '$.limits.messages_per_second: expected a number over 0, got "fast"',
        '$.log_level: expected one of "debug", "info", "warning", "error", got 5',
        "$.namespaces.chat.history_events: expected a whole number of at least 0, got -1",
        '$.namespaces.chat.overflow: expected one of "drop_oldest", "wait", "conflate", "disconnect", got "never"',
        '$.namespaces.chat.read_roles: expected a list, got "admin"',
        '$.namespaces["two words"].x: unknown setting',
        "$.origins[1]: expected text, got 5",
        '$.port: expected a whole number from 0 to 65535, got "80"',
        '$.prot: unknown setting; did you mean "port"?',
        "$.tls: expected a table, got text",
    ]


def test_tls_needs_both_files(write: Write) -> None:
    """Half a certificate is none."""
    assert faults(file=write('[tls]\ncertificate = "c.pem"\n')) == ["$.tls.key: required, but not given"]


@pytest.mark.parametrize(
    "content",
    [
        f'[authentication.keys.main]\nalgorithm = "RS256"\nsecret = "{SECRET}"\n',
        f'[authentication.keys.main]\nalgorithm = "HS256"\nsecert = "{SECRET}"\n',
        f'[authentication.keys]\nmain = "{SECRET}"\n',
        f'[authentication]\nkeys = "{SECRET}"\n',
        f'[authentication]\nkeys = ["{SECRET}"]\n',
        f'authentication = "{SECRET}"\n',
        f'[authentication.keys.main]\nalgorithm = "HS256"\nsecret = ["{SECRET}"]\n',
        f'[tls]\ncertificate = "a"\nkey = "b"\nkey_password = {{ a = "{SECRET}" }}\n',
        f'[authentication.keys.main]\nsecret = "{SECRET}"\nsecret = "{SECRET}"\n',
        f'secret = "{SECRET}\n',
    ],
)
def test_no_fault_shows_a_secret_wherever_it_was_put(write: Write, content: str) -> None:
    """Faults are printed and logged."""
    lines = faults(file=write(content))
    assert lines
    assert not any(SECRET in line for line in lines)


def test_environment_text_is_read_as_the_type_of_its_setting() -> None:
    """The environment has only text; the target says what it means."""
    settings = load_settings(
        environ={
            "RTCORE_PORT": " 9000 ",
            "RTCORE_ECHO": "yes",
            "RTCORE_HEARTBEAT_SECONDS": "1.5e1",
            "RTCORE_HOST": "12",
            "RTCORE_ORIGINS": "https://a.example, https://b.example,",
            "RTCORE_ANONYMOUS_ROLES": "",
            "RTCORE_NAMESPACES__CHAT__HISTORY_EVENTS": "5",
            "RTCORE_NAMESPACES__CHAT__PUBLISH_ROLES": "none",
            "RTCORE_AUTHENTICATION__KEYS__MAIN": '{"algorithm": "HS256"}',
            "RTCORE_AUTHENTICATION__KEYS__MAIN__SECRET": SECRET,
        }
    )
    assert (settings.port, settings.echo, settings.heartbeat_seconds, settings.host) == (9000, True, 15.0, "12")
    assert settings.origins == ("https://a.example", "https://b.example")
    assert settings.anonymous_roles == frozenset()
    assert (settings.namespaces["chat"].history_events, settings.namespaces["chat"].publish_roles) == (5, None)
    assert settings.authentication is not None


def test_list_may_be_json_as_in_the_file() -> None:
    """Read with commas it would be one role with brackets in its name, and nobody would say so."""
    settings = load_settings(environ={"RTCORE_ANONYMOUS_ROLES": ' ["publisher", "a,b"]', "RTCORE_ORIGINS": "[]"})
    assert (settings.anonymous_roles, settings.origins) == ({"publisher", "a,b"}, ())
    with pytest.raises(SettingsError, match=r"\[1\]: expected text, got 5 \(from RTCORE_ANONYMOUS_ROLES\)"):
        load_settings(environ={"RTCORE_ANONYMOUS_ROLES": '["publisher", 5]'})
    with pytest.raises(SettingsError, match=r"\(from RTCORE_ANONYMOUS_ROLES\)"):
        load_settings(environ={"RTCORE_ANONYMOUS_ROLES": "['publisher']"})


def test_environment_faults_name_the_variable() -> None:
    """Whoever set the variable looks for its name."""
    environ = {
        "RTCORE_PORT": "0x50",
        "RTCORE_DEMO": "maybe",
        "RTCORE_LIMITS__MESSAGES_PER_SECOND": "1_000",
        "RTCORE_LIMIT__CONNECTIONS": "5",
        "RTCORE_AUTHENTICATION__KEYS__MAIN": SECRET,
        "RTCORE_TLS": "[1]",
    }
    assert sorted(faults(environ=environ)) == [
        "$.authentication.keys.main: expected a table, got text (from RTCORE_AUTHENTICATION__KEYS__MAIN)",
        '$.demo: expected true or false, got "maybe" (from RTCORE_DEMO)',
        '$.limit: unknown setting; did you mean "limits"? (from RTCORE_LIMIT__CONNECTIONS)',
        '$.limits.messages_per_second: expected a number over 0, got "1_000" (from RTCORE_LIMITS__MESSAGES_PER_SECOND)',
        '$.port: expected a whole number from 0 to 65535, got "0x50" (from RTCORE_PORT)',
        "$.tls: expected a table, got text (from RTCORE_TLS)",
    ]


def test_variables_that_are_no_settings_are_left_alone() -> None:
    """The extensions' and the client's variables have the same prefix."""
    environ = {"RTCORE_EXTENSIONS": "off", "RTCORE_URL": "ws://x", "RTCORE_TOKEN": "t", "PORT": "5"}
    assert load_settings(environ=environ) == Settings()


def test_flag_values_are_strict_unless_they_are_text() -> None:
    """Code that passes a number passes the right one."""
    assert load_settings(overrides={"limits.connections": 5, "port": "70"}).limits.connections == 5
    assert faults(limits__connections=True, port=1.0, tls__key="k") == [
        "$.port: expected a whole number from 0 to 65535, got 1.0 (from flag port)",
        "$.limits.connections: expected a whole number of at least 1, got true (from flag limits.connections)",
        "$.tls.certificate: required, but not given",
    ]


def test_step_into_what_is_no_table_is_a_fault_and_no_crash(write: Write) -> None:
    """The fault that was there is told, not covered up."""
    environ = {"RTCORE_LIMITS__CONNECTIONS": "5", "RTCORE_PORT__X": "1", "RTCORE_": "1", "RTCORE___": "1"}
    lines = faults(file=write("limits = 5\nport = 1\n"), environ=environ)
    assert "$.limits: expected a table, got a number (from RTCORE_LIMITS__CONNECTIONS)" in lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"port = ", "not TOML: Invalid value (at end of document)"),
        (b"port = 1\nport = 2\n", "not TOML: Cannot overwrite a value (at line 2, column 9)"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"#" * 1_048_577, "larger than 1048576 bytes"),
    ],
)
def test_file_that_is_no_settings_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """With the file's name and no more of its content than a position."""
    file = tmp_path / "rtcore.toml"
    file.write_bytes(content)
    assert faults(file=file) == [f"{file}: {message}"]


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Settings that were asked for and cannot be read are not the defaults."""
    assert faults(file=tmp_path / "x.toml") == [f"{tmp_path / 'x.toml'}: cannot be read: No such file or directory"]
    assert faults(file=tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_conflicts_are_found_when_loading() -> None:
    """Each value right, both together wrong."""
    assert faults(limits__batch_events="5000") == [
        "$.limits.batch_events: expected at most 1000 (limits.batch_events_maximum), got 5000"
    ]


def test_what_stands_where_a_secret_should_is_told_by_the_kind_that_all_faults_use(write: Write) -> None:
    """In a table of secrets too, and never as Python calls it."""
    target = 'url = "https://x.example"\nrecipients = ["+15550100"]\nfields = { key = 5 }\n'
    file = write(f"[features.alerts.sms.a]\n{target}")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert str(caught.value) == "$.features.alerts.sms.a.fields.key: expected text, got a number"
