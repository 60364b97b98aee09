"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

from image_builder.settings import PROJECT


def directory_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--directory`: the distribution directory."""
    return click.option(
        "--directory",
        envvar="DISTRIBUTIONS_DIR",
        type=click.Path(path_type=Path),
        default=PROJECT / "distributions",
        show_default="the one that comes with the service",
        help="The distribution directory; DISTRIBUTIONS_DIR sets it too.",
    )(command)
