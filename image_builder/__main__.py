"""`python -m image_builder` is the console command."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the console command.

    SIGTERM means something from the first moment: a container's first process has no other handlers than its own, and
    to import the command takes a while.
    """
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from image_builder.cli import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
