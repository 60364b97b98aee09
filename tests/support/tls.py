"""Certificate authorities of tests, and servers on loopback with their certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA: `file` is its certificate (PEM), `server` the TLS context of a server on 127.0.0.1 that it certifies."""

    file: str
    server: ssl.SSLContext


def authority(folder: Path, name: str) -> Authority:
    """A new CA with its certificate in `folder`."""
    ca = trustme.CA()
    file = folder / f"{name}.pem"
    ca.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return Authority(str(file), context)
