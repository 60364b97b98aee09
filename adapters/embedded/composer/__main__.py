"""`python -m adapters.embedded.composer`: run the stand-in composer."""

from __future__ import annotations

from adapters.embedded.composer.app import build
from adapters.embedded.composer.state import Composes
from adapters.embedded.composer.steering import ComposerSteering
from adapters.embedded.stand_in.serving import argument_parser, parse_arguments, serve


def main() -> None:
    """Parse the arguments, and serve until SIGTERM or SIGINT arrives."""
    parser = argument_parser(
        "stand-in composer",
        "The composer's v2 API; builds nothing.",
        state_help="SQLite file that stores the composes",
    )
    parser.add_argument("--seconds", type=float, default=8, help="how long a build takes")
    arguments = parse_arguments(parser)
    composes, steering = Composes(arguments.state), ComposerSteering()
    application = build(composes, steering, arguments.seconds)
    serve(parser.prog, arguments.host, arguments.port, application, steering.close)
    composes.close()


if __name__ == "__main__":
    main()
