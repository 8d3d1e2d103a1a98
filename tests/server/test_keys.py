"""Keys from files: what is taken, and what is refused before the server starts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from rtcore.errors import SettingsError
from rtcore.server.authentication import Authenticator, issue_token
from rtcore.server.keys import load_keys
from rtcore.server.settings import AuthenticationSettings, KeySettings

SECRET = "a secret of more than 32 bytes, not to be shown"
Entry = dict[str, Any]


def public_entry(folder: Path, algorithm: str, **more: Any) -> Entry:
    """The public key of an algorithm as a member of a key set."""
    key: Any = load_pem_public_key((folder / f"{algorithm}.pub").read_bytes())
    classes: dict[str, Any] = jwt.PyJWS()._algorithms
    return {**json.loads(classes[algorithm].to_jwk(key)), **more}


@pytest.fixture
def key_set(tmp_path: Path) -> Callable[[object], Path]:
    """Write a key set file."""

    def write(entries: object) -> Path:
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"keys": entries}))
        return file

    return write


def fault(**arguments: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load_keys({"main": KeySettings(**arguments)})
    text = str(caught.value)
    assert text.startswith("$.authentication.keys.main: ")
    return text


@pytest.mark.parametrize(
    ("algorithm", "file", "message"),
    [
        ("RS256", "ES256.pub", "the key is not one for RS256"),
        ("ES256", "EdDSA.pub", "the key is not one for ES256"),
        ("EdDSA", "RS256.pub", "the key is not one for EdDSA"),
        ("RS256", "weak.pub", "expected an RSA key of at least 2048 bits, got 1024 bits"),
        ("ES256", "curve.pub", "expected a key on the curve P-256, got one on secp384r1"),
        ("RS256", "RS256.pem", "is not a PEM public key"),
        ("RS256", "absent.pub", "cannot be read: No such file or directory"),
    ],
)
def test_public_key_that_will_not_do_is_refused(key_folder: Path, algorithm: str, file: str, message: str) -> None:
    """At the start, not at the first token."""
    assert message in fault(algorithm=algorithm, public_key=key_folder / file)


def test_file_that_holds_something_else_is_not_quoted(tmp_path: Path) -> None:
    """It may hold a secret, in the wrong place."""
    file = tmp_path / "key"
    file.write_text("swordfish")
    for arguments in (
        {"algorithm": "ES256", "public_key": file},
        {"algorithm": "ES256", "key_set": file},
        {"algorithm": "HS256", "secret_file": file},
    ):
        assert "swordfish" not in fault(**arguments)
    file.write_bytes(b"x" * 1_048_577)
    assert "is larger than 1048576 bytes" in fault(algorithm="HS256", secret_file=file)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """One line per key, and ids that two keys share."""
    keys = {
        "a": KeySettings(algorithm="HS256", secret_file=tmp_path / "x"),
        "b": KeySettings(algorithm="HS256", secret=SECRET, id="same"),
        "c": KeySettings(algorithm="HS256", secret=SECRET, id="same"),
    }
    with pytest.raises(SettingsError) as caught:
        load_keys(keys)
    assert [line.rpartition(": ")[0] for line in str(caught.value).splitlines()] == [
        f"$.authentication.keys.a: {tmp_path / 'x'} cannot be read",
        "$.authentication.keys",
    ]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_key_set_gives_the_keys_of_its_algorithm(key_folder: Path, key_set: Any, algorithm: Any) -> None:
    """What is for encryption, for another algorithm or of another kind is passed over."""
    entries = [
        public_entry(key_folder, algorithm, kid="enc", use="enc"),
        public_entry(key_folder, algorithm, kid="else", alg="PS256"),
        public_entry(key_folder, algorithm, kid="ops", key_ops=["sign"]),
        public_entry(key_folder, algorithm, kid="good", use="sig", key_ops=["verify"]),
        public_entry(key_folder, algorithm, alg=algorithm),
        *(public_entry(key_folder, name, kid=name) for name in ("RS256", "ES256", "EdDSA") if name != algorithm),
        {"kty": "unheard of"},
    ]
    keys = load_keys({"main": KeySettings(algorithm=algorithm, key_set=key_set(entries))})
    assert [(key.id, key.algorithm) for key in keys] == [("good", algorithm), (None, algorithm)]


def test_key_set_verifies_tokens_by_kid(key_folder: Path, key_set: Any) -> None:
    """The set's own ids count, not the name in the settings; a private member serves with its public half."""
    private: Any = load_pem_private_key((key_folder / "ES256.pem").read_bytes(), None)
    classes: dict[str, Any] = jwt.PyJWS()._algorithms
    whole = {**json.loads(classes["ES256"].to_jwk(private)), "kid": "k1"}
    assert "d" in whole
    file = key_set([whole])
    settings = AuthenticationSettings(keys={"main": KeySettings(algorithm="ES256", key_set=file)})
    checked = Authenticator(settings, clock=lambda: 100.0)
    claims = {"sub": "ann", "exp": 200}
    assert checked.authenticate(jwt.encode(claims, private, "ES256", {"kid": "k1"})).user == "ann"
    with pytest.raises(Exception, match="not by a key of this server"):
        checked.authenticate(jwt.encode(claims, private, "ES256", {"kid": "main"}))
    assert issue_token(settings, user="ann", private_key=key_folder / "ES256.pem")


def test_key_set_may_hold_secrets_of_full_length(key_set: Any, tmp_path: Path) -> None:
    """A short one is refused there as everywhere."""
    text = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    (key,) = load_keys({"main": KeySettings(algorithm="HS256", key_set=key_set([{"kty": "oct", "k": text}]))})
    assert key.material == SECRET.encode()
    assert SECRET not in repr(key)
    settings = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", key_set=tmp_path / "keys.json")})
    with pytest.raises(SettingsError, match="tokens cannot be signed with a key set"):
        issue_token(settings, user="ann")
    short = fault(algorithm="HS256", key_set=key_set([{"kty": "oct", "k": "AAAA"}]))
    assert "expected a secret of at least 32 bytes, got 3 bytes" in short


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "has no key for ES256"),
        ({"kid": "a"}, "is not a JSON Web Key Set"),
        ([5], "is not a JSON Web Key Set"),
        ([{"kty": "EC"}], "cannot be read"),
        ([{"kty": "EC", "crv": "P-256", "x": "!", "y": 5}], "cannot be read"),
        ([{"kty": "EC", "kid": 5}], "its kid is not text"),
    ],
)
def test_key_set_that_will_not_do_is_refused(key_set: Any, entries: object, message: str) -> None:
    """Never a traceback."""
    assert message in fault(algorithm="ES256", key_set=key_set(entries))
