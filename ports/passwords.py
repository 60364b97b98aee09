"""The port of password hashing."""

from __future__ import annotations

from typing import Protocol


class PasswordHasher(Protocol):
    """One-way hashing of passwords."""

    def __call__(self, password: str, salt: str) -> str:
        """Return the SHA-512 crypt hash (`$6$`, 5,000 rounds) of the password with a salt of 16 characters."""
