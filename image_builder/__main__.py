"""`python -m image_builder` runs the console command `image-builder`."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the console command.

    SIGTERM ends the process from the first moment: the first process of a container ignores it without a handler, and
    importing the command takes a while.
    """
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from image_builder.cli import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
