"""Tokens: which are accepted, which are not, and with what words."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from attrs import evolve

from rtcore.errors import AuthenticationError, ErrorCode, SettingsError
from rtcore.server.authentication import Authenticator, bearer_token, issue_token
from rtcore.server.revocation import RevocationList
from rtcore.server.settings import AuthenticationSettings, KeySettings
from rtcore.values.identity import Identity

SECRET = "a secret of more than 32 bytes, not to be shown"
OTHER = "another secret of more than 32 bytes, to be seen"
NOW = 1_700_000_000.0
CLAIMS: dict[str, Any] = {"sub": "ann", "exp": NOW + 60}
SETTINGS = AuthenticationSettings(keys={"main": KeySettings(algorithm="HS256", secret=SECRET)})
FAILED = ErrorCode.AUTHENTICATION_FAILED


def authenticator(settings: AuthenticationSettings = SETTINGS, **changes: Any) -> Authenticator:
    return Authenticator(evolve(settings, **changes), clock=lambda: NOW)


def sign(claims: object, *, key: Any = SECRET, algorithm: str = "HS256", **header: object) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm, headers=header)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forge(header: dict[str, object], secret: bytes) -> str:
    """A token with any header, its HS256 signature right."""
    text = f"{part(header)}.{part(CLAIMS)}"
    signature = hmac.digest(secret, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def refusal(token: str, by: Authenticator | None = None) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        (by or authenticator()).authenticate(token)
    return caught.value


def test_token_becomes_an_identity() -> None:
    """User, workspace, roles, token id and both times."""
    claims = {**CLAIMS, "workspace": "blue", "roles": ["admin", "ops"], "jti": "t1", "iat": NOW - 5, "nbf": NOW}
    assert authenticator().authenticate(sign(claims)) == Identity(
        user="ann",
        workspace="blue",
        roles=frozenset({"admin", "ops"}),
        token_id="t1",
        issued_at=NOW - 5,
        expires_at=NOW + 60,
    )


def test_claims_may_have_other_names() -> None:
    """Every issuer names them its own way."""
    checked = authenticator(user_claim="email", workspace_claim="https://x/team", roles_claim="scope")
    claims = {"exp": NOW + 1, "email": "a@b", "https://x/team": "blue", "scope": "read  write"}
    identity = checked.authenticate(sign(claims))
    assert (identity.user, identity.workspace, identity.roles) == ("a@b", "blue", frozenset({"read", "write"}))


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": NOW + 60}, "the token has no sub"),
        ({"sub": "ann"}, "the token has no exp"),
        ({**CLAIMS, "sub": 7}, "the token's sub is not text of 1 to 255 printable characters"),
        ({**CLAIMS, "sub": ""}, "the token's sub is not text of 1 to 255 printable characters"),
        ({**CLAIMS, "sub": "x" * 256}, "the token's sub is not text of 1 to 255 printable characters"),
        ({**CLAIMS, "sub": "a\nb"}, "the token's sub is not text of 1 to 255 printable characters"),
        ({**CLAIMS, "exp": str(NOW)}, "the token's exp is not a time"),
        ({**CLAIMS, "exp": True}, "the token's exp is not a time"),
        ({**CLAIMS, "exp": -1}, "the token's exp is not a time"),
        ({**CLAIMS, "nbf": NOW + 11}, "the token is not valid yet"),
        ({**CLAIMS, "nbf": []}, "the token's nbf is not a time"),
        ({**CLAIMS, "iat": NOW + 11}, "the token was issued in the future"),
        ({**CLAIMS, "iat": "now"}, "the token's iat is not a time"),
        ({**CLAIMS, "jti": 5}, "the token's jti is not text of 1 to 255 printable characters"),
        ({**CLAIMS, "workspace": ["blue"]}, "the token's workspace is not text of 1 to 255 printable characters"),
        ({**CLAIMS, "roles": {"admin": 1}}, "the token's roles is not a list of texts, nor text with spaces between"),
        ({**CLAIMS, "roles": ["admin", 1]}, "the token's roles is not a list of texts, nor text with spaces between"),
        ({**CLAIMS, "aud": "rtcore"}, "the token is for another audience"),
        ([1, 2], "the token's claims are not a JSON object"),
        (b'{"sub": "ann"', "the token's claims are not JSON, or nested too deep"),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", "the token's claims are not JSON, or nested too deep"),
    ],
)
def test_wrong_claims_are_refused_by_name(claims: object, message: str) -> None:
    """Strict about types: the text "5" is no time, and one role too many is no list of roles."""
    error = refusal(sign(claims))
    assert (error.code, str(error)) == (FAILED, message)


@pytest.mark.parametrize(
    ("changes", "accepted", "refused"),
    [
        ({"issuer": "us"}, {"iss": "us"}, [{}, {"iss": "them"}, {"iss": ["us"]}]),
        (
            {"audience": ("a", "b")},
            {"aud": ["x", "b"]},
            [{}, {"aud": "x"}, {"aud": []}, {"aud": [["a"]]}, {"aud": {"a": 1}}, {"aud": 5}],
        ),
        ({"audience": ("a",)}, {"aud": "a"}, [{"aud": "ab"}]),
    ],
)
def test_issuer_and_audience_are_checked(
    changes: dict[str, Any], accepted: dict[str, Any], refused: list[dict[str, Any]]
) -> None:
    """A token for another service of the same issuer opens nothing here."""
    checked = authenticator(**changes)
    assert checked.authenticate(sign({**CLAIMS, **accepted})).user == "ann"
    for claims in refused:
        assert refusal(sign({**CLAIMS, **claims}), checked).code is FAILED


def test_expiry_allows_for_the_leeway_and_has_a_code_of_its_own() -> None:
    """A client that is told so gets a new token instead of asking its user."""
    assert authenticator().authenticate(sign({**CLAIMS, "exp": NOW - 9.5})).expires_at == NOW - 9.5
    assert refusal(sign({**CLAIMS, "exp": NOW - 10})).code is ErrorCode.TOKEN_EXPIRED
    assert authenticator(require_expiry=False).authenticate(sign({"sub": "ann"})).expires_at is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        " " + sign(CLAIMS),
        sign(CLAIMS) + "=",
        sign(CLAIMS) + "\n",
        sign(CLAIMS)[:-4],
        sign(CLAIMS, key=OTHER),
        f"{part({'alg': 'none'})}.{part(CLAIMS)}.",
        f"{part({'alg': 'none'})}.{part(CLAIMS)}.AAAA",
        f"{part({'alg': ['HS256']})}.{part(CLAIMS)}.AAAA",
        f"{part({})}.{part(CLAIMS)}.AAAA",
        f"{part([])}.{part(CLAIMS)}.AAAA",
        sign(CLAIMS, algorithm="HS512", key=SECRET + SECRET),
        sign(CLAIMS, kid="unknown"),
        "é" * 20,
    ],
)
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    """Whatever it is, the answer is an authentication error that repeats nothing of it."""
    error = refusal(token)
    assert error.code is FAILED
    assert len(token) < 5 or token not in str(error)


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"zip": "DEF"},
    ],
)
def test_token_that_brings_its_own_key_or_rules_is_refused(header: dict[str, object]) -> None:
    """Although its signature is right. Source: RFC 8725, section 3.10."""
    assert authenticator().authenticate(forge({"alg": "HS256"}, SECRET.encode())).user == "ann"
    assert refusal(forge({"alg": "HS256", **header}, SECRET.encode())).code is FAILED


def test_token_is_measured_before_it_is_read() -> None:
    """Length is the first check."""
    assert "exceeds token_bytes=8192" in str(refusal("." * 8193))


def test_public_key_is_no_secret_for_another_algorithm(key_folder: Path) -> None:
    """The classic confusion: sign with HS256, the server's public key as secret. Source: RFC 8725, section 2.1."""
    public = key_folder / "RS256.pub"
    settings = AuthenticationSettings(keys={"main": KeySettings(algorithm="RS256", public_key=public)})
    forged = forge({"alg": "HS256"}, public.read_bytes())
    assert refusal(forged, authenticator(settings)).code is FAILED


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_key_pairs_verify_their_algorithm_only(key_folder: Path, algorithm: Any) -> None:
    """One key, one algorithm."""
    key = KeySettings(algorithm=algorithm, public_key=key_folder / f"{algorithm}.pub")
    settings = AuthenticationSettings(keys={"main": key})
    token = issue_token(settings, user="ann", private_key=key_folder / f"{algorithm}.pem", now=NOW)
    assert authenticator(settings).authenticate(token).user == "ann"
    assert refusal(token).code is FAILED
    assert refusal(sign(CLAIMS), authenticator(settings)).code is FAILED


def test_kid_picks_the_key_and_without_it_all_of_the_algorithm_are_tried() -> None:
    """During a change of keys both are good, and a named key is the only one that counts."""
    keys = {
        "old": KeySettings(algorithm="HS256", secret=SECRET),
        "new": KeySettings(algorithm="HS256", secret=OTHER, id="2024"),
    }
    both = authenticator(keys=keys)
    for token in (sign(CLAIMS), sign(CLAIMS, key=OTHER), sign(CLAIMS, kid="old"), sign(CLAIMS, key=OTHER, kid="2024")):
        assert both.authenticate(token).user == "ann"
    for token in (sign(CLAIMS, kid="2024"), sign(CLAIMS, key=OTHER, kid="new"), sign(CLAIMS, key="z" * 40)):
        assert refusal(token, both).code is FAILED


def test_revoked_token_has_a_code_of_its_own() -> None:
    """Checked after all else, so that only its bearer learns it."""
    revocations = RevocationList(clock=lambda: NOW)
    checked = Authenticator(SETTINGS, revocations=revocations, clock=lambda: NOW)
    token = sign({**CLAIMS, "jti": "t1"})
    assert checked.authenticate(token).token_id == "t1"
    revocations.revoke_token("t1")
    assert refusal(token, checked).code is ErrorCode.TOKEN_REVOKED


def test_reload_takes_new_keys_and_keeps_the_old_ones_when_it_fails(tmp_path: Path) -> None:
    """A mistake in a key file must not lock everybody out."""
    file = tmp_path / "secret"
    file.write_text(f"  {SECRET}\n")
    checked = authenticator(keys={"main": KeySettings(algorithm="HS256", secret_file=file)})
    assert checked.authenticate(sign(CLAIMS)).user == "ann"
    file.write_text("short")
    with pytest.raises(SettingsError, match="at least 32 bytes, got 5 bytes"):
        checked.reload()
    assert checked.authenticate(sign(CLAIMS)).user == "ann"
    file.write_text(OTHER)
    checked.reload()
    assert checked.authenticate(sign(CLAIMS, key=OTHER)).user == "ann"
    assert refusal(sign(CLAIMS), checked).code is FAILED


@pytest.mark.parametrize("value", ["Bearer abc.d-e_f.g", "bearer  abc.d-e_f.g", "BEARER abc.d-e_f.g"])
def test_bearer_header_gives_its_token(value: str) -> None:
    """The scheme's case does not matter."""
    assert bearer_token(value) == "abc.d-e_f.g"


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "Bearer a b", "Bearer a,b", "Bearer é"]
)
def test_other_authorization_is_refused_without_repeating_it(value: str) -> None:
    """Basic credentials sent by mistake must not land in a log."""
    with pytest.raises(AuthenticationError) as caught:
        bearer_token(value)
    assert str(caught.value) == "the Authorization header is not a Bearer token"


def test_issued_token_carries_all_that_the_server_wants() -> None:
    """Issuer, audience and claim names come from the server's own settings."""
    settings = evolve(SETTINGS, issuer="us", audience=("rtcore",), roles_claim="scope")
    token = issue_token(settings, user="ann", roles={"b", "a"}, workspace="blue", seconds=60, token_id="t1", now=NOW)
    identity = authenticator(settings).authenticate(token)
    assert identity == Identity(
        user="ann",
        workspace="blue",
        roles=frozenset({"a", "b"}),
        token_id="t1",
        issued_at=NOW,
        expires_at=NOW + 60,
    )
    assert issue_token(SETTINGS, user="a", now=NOW) != issue_token(SETTINGS, user="a", now=NOW)


def test_token_cannot_be_issued_without_the_right_key(key_folder: Path, tmp_path: Path) -> None:
    """Each mistake has its words."""
    pair = KeySettings(algorithm="ES256", public_key=key_folder / "ES256.pub")
    settings = AuthenticationSettings(keys={"pair": pair, **SETTINGS.keys})

    def fails(message: str, error: type[Exception] = SettingsError, **arguments: Any) -> None:
        with pytest.raises(error, match=message):
            issue_token(settings, user="ann", **arguments)

    fails("more than one; say which: pair, main")
    fails("no key of that name; there are: pair, main", key="x")
    fails("needs the private key's file", key="pair")
    fails("cannot be read: No such file", key="pair", private_key=tmp_path / "x")
    fails("not a PEM private key", key="pair", private_key=key_folder / "ES256.pub")
    fails("the key is not one for ES256", key="pair", private_key=key_folder / "RS256.pem")
    fails("on the curve P-256", key="pair", private_key=key_folder / "curve.pem")
    fails("password is another", key="pair", private_key=key_folder / "locked.pem")
    fails("password is another", key="pair", private_key=key_folder / "locked.pem", private_key_password="no")
    fails("not by a key of this server", AuthenticationError, key="pair", private_key=key_folder / "other.pem")
    locked = issue_token(
        settings, user="ann", key="pair", private_key=key_folder / "locked.pem", private_key_password="open sesame"
    )
    assert Authenticator(settings).authenticate(locked).user == "ann"
