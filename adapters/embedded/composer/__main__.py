"""`python -m adapters.embedded.composer`: run the stand-in composer."""

from __future__ import annotations

import argparse

from adapters.embedded.composer.server import NAME, serve
from adapters.embedded.serving import end_with


def main() -> None:
    """Read the arguments and answer."""
    parser = argparse.ArgumentParser(prog=NAME, description="The composer's v2 API; builds nothing.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--state", required=True, help="SQLite file the composes are kept in")
    parser.add_argument("--seconds", type=float, default=8, help="how long a build takes")
    parser.add_argument("--parent-death", type=int, help="end with this process, which started this one")
    arguments = parser.parse_args()
    if arguments.parent_death is not None:
        end_with(arguments.parent_death, NAME)
    serve(arguments.host, arguments.port, arguments.state, arguments.seconds)


if __name__ == "__main__":
    main()
