"""Hashing of passwords, by libpass."""

from __future__ import annotations

from typing import Final

from passlib.handlers.sha2_crypt import sha512_crypt

# The crypt default. The library's own would take half a second for each user of a request.
_ROUNDS: Final = 5000
_SHA512_CRYPT: Final = sha512_crypt.using(rounds=_ROUNDS)


def sha512_crypt_hash(password: str, salt: str) -> str:
    """`password` as SHA-512 crypt, `$6$` (fulfils ports.passwords.PasswordHasher)."""
    return str(_SHA512_CRYPT.using(salt=salt).hash(password))
