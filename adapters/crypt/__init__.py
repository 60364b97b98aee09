"""Hashes of passwords, computed by libpass."""

from __future__ import annotations

from typing import Final

from passlib.handlers.sha2_crypt import sha512_crypt

# The default of crypt(3). The default of libpass would take half a second per password.
_ROUNDS: Final = 5000
_SHA512_CRYPT: Final = sha512_crypt.using(rounds=_ROUNDS)


def sha512_crypt_hash(password: str, salt: str) -> str:
    """Hash a password with SHA-512 crypt (`$6$`). Implements ports.passwords.PasswordHasher."""
    return str(_SHA512_CRYPT.using(salt=salt).hash(password))
