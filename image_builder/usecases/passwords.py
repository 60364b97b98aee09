"""Hash plain passwords, only a few at the same time."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import Final

from domain.compose.passwords import SaltedPassword
from domain.errors import UnavailableError
from image_builder.fair_threads import FairThreads
from ports.deadline import remaining_seconds
from ports.passwords import PasswordHasher

_LETTERS: Final = "./" + string.digits + string.ascii_letters
_RANDOM: Final = SystemRandom()
_SALT_LENGTH: Final = 16


def salt_passwords(plain: Mapping[int, str]) -> dict[int, SaltedPassword]:
    """Return the passwords with new random salts, by the same numbers."""
    return {
        number: SaltedPassword(text, "".join(_RANDOM.choices(_LETTERS, k=_SALT_LENGTH)))
        for number, text in plain.items()
    }


def _seconds_left() -> float | None:
    """Return the seconds until the deadline, None if there is none: futures accept this form of a timeout."""
    seconds = remaining_seconds()
    return None if math.isinf(seconds) else max(seconds, 0.0)


@dataclass(frozen=True, slots=True)
class HashPasswords:
    """Hashes passwords on threads, whose number limits how many are hashed at the same time.

    One organization may use only a part of the threads.
    """

    hasher: PasswordHasher
    threads: FairThreads

    def __call__(self, organization: str, passwords: Mapping[int, SaltedPassword]) -> dict[int, str]:
        """Return the hashes, by the same numbers. Raises UnavailableError if the current deadline passes first."""
        hashing: dict[int, Future[str]] = {
            number: self.threads.submit(organization, partial(self.hasher, password.text, password.salt))
            for number, password in passwords.items()
        }
        try:
            return {number: future.result(_seconds_left()) for number, future in hashing.items()}
        except TimeoutError:
            raise UnavailableError("The passwords could not be hashed in time") from None
        finally:
            for future in hashing.values():
                future.cancel()
