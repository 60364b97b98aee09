"""Access to the embedded PostgreSQL: only its superuser, with a password that is stored in a private file."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Final

from adapters.embedded.private_files import read_own_file, replace_file
from adapters.embedded.unprivileged import Account

HOST: Final = "127.0.0.1"
SUPERUSER: Final = "postgres"

_ACCESS_RULES: Final = b"""\
# Written by image-builder at each start; changes are lost.
local all all scram-sha-256
host all all all scram-sha-256
"""
_LARGEST_PASSFILE: Final = 1024
_LINE: Final = re.compile(rb"127\.0\.0\.1:\*:\*:postgres:([0-9a-f]{64})\n")
_PASSWORD_BYTES: Final = 32
_SALT_BYTES: Final = 16
# One is enough: a password of 256 random bits cannot be guessed, and iterations slow down each connection.
_ITERATIONS: Final = 1


def find_password(passfile: Path) -> str:
    """The superuser's password from the file, which psql and libpq can use as PGPASSFILE.

    A file that is missing, damaged, not private or of another user is replaced, with a new password. Raises OSError.
    """
    found = _LINE.fullmatch(read_own_file(passfile, _LARGEST_PASSFILE) or b"")
    if found:
        return found[1].decode()
    password = secrets.token_hex(_PASSWORD_BYTES)
    replace_file(passfile, f"{HOST}:*:*:{SUPERUSER}:{password}\n".encode())
    return password


def write_access_rules(data: Path, account: Account) -> None:
    """Write a pg_hba.conf that requires a password for all connections. Raises OSError."""
    rules = data / "pg_hba.conf"
    if rules.is_symlink() or not rules.is_file() or rules.read_bytes() != _ACCESS_RULES:
        replace_file(rules, _ACCESS_RULES, account)


def set_password_statement(password: str) -> bytes:
    """The SQL statement that sets this ASCII password for the superuser.

    It contains the SCRAM-SHA-256 secret (RFC 5803) instead of the password, so that neither the server, which may run
    as another user, nor its log contains the password.
    """
    salt = os.urandom(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    secret = f"SCRAM-SHA-256${_ITERATIONS}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"
    return f"ALTER ROLE {SUPERUSER} PASSWORD '{secret}';\n".encode()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
