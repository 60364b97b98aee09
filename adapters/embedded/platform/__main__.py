"""`python -m adapters.embedded.platform`: run the stand-ins of the platform's services."""

from __future__ import annotations

from pathlib import Path

from adapters.embedded.platform.app import build
from adapters.embedded.platform.built_in import built_in
from adapters.embedded.platform.state import DocumentStore
from adapters.embedded.platform.steering import PlatformSteering
from adapters.embedded.stand_in.serving import argument_parser, parse_arguments, serve
from adapters.files.project_files import DISTRIBUTIONS


def main() -> None:
    """Parse the arguments, and serve until SIGTERM or SIGINT arrives."""
    parser = argument_parser(
        "stand-in platform",
        "Content sources, provisioning, compliance and recommendations, none of them real.",
        state_help="JSON file that stores added documents; :memory: stores nothing on disk",
    )
    parser.add_argument(
        "--distributions", type=Path, default=DISTRIBUTIONS, help="whose Red Hat repositories are known"
    )
    arguments = parse_arguments(parser)
    steering = PlatformSteering()
    application = build(DocumentStore(arguments.state, built_in(arguments.distributions)), steering)
    serve(parser.prog, arguments.host, arguments.port, application, steering.close)


if __name__ == "__main__":
    main()
