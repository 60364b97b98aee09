"""`python -m adapters.embedded.platform`: run the stand-ins of the platform's services."""

from __future__ import annotations

import argparse
from pathlib import Path

from adapters.embedded.platform.server import NAME, serve
from adapters.embedded.serving import end_with
from adapters.files.project_files import DISTRIBUTIONS


def main() -> None:
    """Read the arguments and answer."""
    description = "Content sources, provisioning, compliance and recommendations, none of them real."
    parser = argparse.ArgumentParser(prog=NAME, description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument(
        "--state", required=True, help="JSON file that what is added is kept in; :memory: keeps nothing"
    )
    parser.add_argument(
        "--distributions", type=Path, default=DISTRIBUTIONS, help="whose Red Hat repositories are known"
    )
    parser.add_argument("--parent-death", type=int, help="end with this process, which started this one")
    arguments = parser.parse_args()
    if arguments.parent_death is not None:
        end_with(arguments.parent_death, NAME)
    serve(arguments.host, arguments.port, arguments.state, arguments.distributions)


if __name__ == "__main__":
    main()
