"""Command-line options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.files.project_files import DISTRIBUTIONS
from image_builder.configuration.environment import load_environment


def directory_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add the option `--directory`, the distribution directory, to a command."""
    return click.option(
        "--directory",
        type=click.Path(path_type=Path),
        default=_directory,
        show_default="the one of this package",
        help="The distribution directory; DISTRIBUTIONS_DIR sets it too.",
    )(command)


def _directory() -> str:
    return load_environment().values.get("DISTRIBUTIONS_DIR") or str(DISTRIBUTIONS)
