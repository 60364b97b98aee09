"""`python -m adapters.embedded.composer`: run the stand-in composer."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

from adapters.embedded.composer.server import serve

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Read the arguments and answer."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="stand-in composer", description="The composer's v2 API; builds nothing.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--state", required=True, help="SQLite file the composes are kept in")
    parser.add_argument("--seconds", type=float, default=8, help="how long a build takes")
    parser.add_argument("--parent-death", action="store_true", help="end with the process that started this one")
    arguments = parser.parse_args()
    if arguments.parent_death:
        _end_with(parent)
    serve(arguments.host, arguments.port, arguments.state, arguments.seconds)


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("stand-in composer: the process that started this one has ended")


if __name__ == "__main__":
    main()
