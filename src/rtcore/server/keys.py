"""Keys that tokens are verified with, read from settings and files; each is bound to one algorithm for good."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from rtcore.errors import SettingsError
from rtcore.server.settings import SECRET_BYTES, Algorithm, KeySettings

__all__ = ["VerificationKey", "load_keys", "load_private_key"]

_FILE_BYTES: Final = 1024 * 1024
"""Largest key file, in bytes; a key set of a thousand RSA keys has half of that."""

RSA_BITS: Final = 2048
"""Least size of an RSA key. Source: RFC 7518, section 3.3."""

_KEY_TYPES: Final[Mapping[Algorithm, str]] = {"HS256": "oct", "RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""The `kty` of a JSON Web Key for each algorithm. Source: RFC 7518, section 6.1; RFC 8037, section 2."""

_PUBLIC_TYPES: Final[Mapping[Algorithm, tuple[type, ...]]] = {
    "HS256": (bytes,),
    "RS256": (rsa.RSAPublicKey,),
    "ES256": (ec.EllipticCurvePublicKey,),
    "EdDSA": (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey),
}


@frozen(kw_only=True)
class VerificationKey:
    """One key, ready for use."""

    algorithm: Algorithm
    id: str | None
    """The `kid` of its tokens; None: only tokens without one are tried with this key."""
    material: Any = field(repr=False)
    """The secret's bytes, or a public key of `cryptography`."""


def load_keys(settings: Mapping[str, KeySettings]) -> tuple[VerificationKey, ...]:
    """
    Read every key.

    Raises:
        SettingsError: With one line per key that cannot be read, is too weak or not for its algorithm, and for every
            `kid` that two keys share.
    """
    keys: list[VerificationKey] = []
    faults: list[str] = []
    for name, key in settings.items():
        try:
            keys.extend(_load(name, key))
        except ValueError as error:
            faults.append(f"$.authentication.keys.{name}: {error}")
    named = [key.id for key in keys if key.id is not None]
    faults.extend(f"$.authentication.keys: two keys have the id {json.dumps(name)}" for name in _repeated(named))
    if faults:
        raise SettingsError("\n".join(faults))
    return tuple(keys)


def load_private_key(file: Path, algorithm: Algorithm, password: bytes | None = None) -> Any:  # Any: by algorithm
    """
    Read a PEM private key for signing.

    Raises:
        SettingsError: If it cannot be read, needs another password or is not for the algorithm.
    """
    try:
        key = load_pem_private_key(_read(file), password)
        _check(algorithm, key.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own words may repeat what is in the file.
        reason = str(error) if isinstance(error, _KeyFault) else "not a PEM private key, or its password is another"
        raise SettingsError(f"{file}: {reason}") from None
    return key


class _KeyFault(ValueError):
    """A fault of a key in words that may be shown."""


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _load(name: str, settings: KeySettings) -> Iterator[VerificationKey]:
    identifier = settings.id or name
    if settings.key_set is not None:
        yield from _load_set(settings.key_set, settings.algorithm)
        return
    material: Any
    if settings.secret is not None:
        material = settings.secret.reveal().encode()
    elif settings.secret_file is not None:
        material = _read(settings.secret_file).strip()
    elif settings.public_key is not None:
        material = _public_key(settings.public_key)
    _check(settings.algorithm, material)
    yield VerificationKey(algorithm=settings.algorithm, id=identifier, material=material)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_FILE_BYTES + 1)
    except OSError as error:
        raise _KeyFault(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > _FILE_BYTES:
        raise _KeyFault(f"{file} is larger than {_FILE_BYTES} bytes")
    return content


def _public_key(file: Path) -> object:
    try:
        return load_pem_public_key(_read(file))
    except _KeyFault:
        raise
    except (ValueError, UnsupportedAlgorithm):
        raise _KeyFault(f"{file} is not a PEM public key") from None  # the cause may quote the file


def _check(algorithm: Algorithm, material: Any) -> None:
    if not isinstance(material, _PUBLIC_TYPES[algorithm]):
        raise _KeyFault(f"the key is not one for {algorithm}")
    if isinstance(material, bytes) and len(material) < SECRET_BYTES:
        raise _KeyFault(f"expected a secret of at least {SECRET_BYTES} bytes, got {len(material)} bytes")
    if isinstance(material, rsa.RSAPublicKey) and material.key_size < RSA_BITS:
        raise _KeyFault(f"expected an RSA key of at least {RSA_BITS} bits, got {material.key_size} bits")
    if isinstance(material, ec.EllipticCurvePublicKey) and not isinstance(material.curve, ec.SECP256R1):
        raise _KeyFault(f"expected a key on the curve P-256, got one on {material.curve.name}")


def _load_set(file: Path, algorithm: Algorithm) -> Iterator[VerificationKey]:
    try:
        entries = json.loads(_read(file))["keys"]
    except _KeyFault:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _KeyFault(f"{file} is not a JSON Web Key Set") from None  # the cause may quote the file
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _KeyFault(f"{file} is not a JSON Web Key Set")
    chosen = [entry for entry in entries if _is_for(entry, algorithm)]
    if not chosen:
        raise _KeyFault(f"{file} has no key for {algorithm}")
    for number, entry in enumerate(chosen):
        yield _from_entry(entry, algorithm, f"key {number + 1} for {algorithm} in {file}")


def _is_for(entry: Mapping[str, object], algorithm: Algorithm) -> bool:
    """Whether a member of a key set may verify signatures of the algorithm. Source: RFC 7517, section 4."""
    operations = entry.get("key_ops")
    return (
        entry.get("kty") == _KEY_TYPES[algorithm]
        and entry.get("alg", algorithm) == algorithm
        and entry.get("use", "sig") == "sig"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )


def _from_entry(entry: dict[str, Any], algorithm: Algorithm, where: str) -> VerificationKey:
    identifier = entry.get("kid")
    if identifier is not None and not isinstance(identifier, str):
        raise _KeyFault(f"{where}: its kid is not text")
    try:
        material = jwt.PyJWK(entry, algorithm=algorithm).key
        if "d" in entry:
            material = material.public_key()  # the set holds the private half as well; it is not kept
        _check(algorithm, material)
    except _KeyFault as error:
        raise _KeyFault(f"{where}: {error}") from None
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise _KeyFault(f"{where} cannot be read") from None  # the cause may quote the key
    return VerificationKey(algorithm=algorithm, id=identifier, material=material)
