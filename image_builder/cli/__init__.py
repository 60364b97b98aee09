"""The console command `image-builder`."""

from __future__ import annotations

import click

from domain.errors import ConfigurationError, UnavailableError
from image_builder import __version__
from image_builder.cli.config import config
from image_builder.cli.demo import demo
from image_builder.cli.distributions import distributions
from image_builder.cli.maintenance import maintenance
from image_builder.cli.migrate import migrate
from image_builder.cli.serve import serve
from image_builder.configuration.environment import load_environment
from image_builder.telemetry import logs


class _PlainErrors(click.Group):
    """Prints errors that an operator can correct as one sentence, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, UnavailableError) as error:
            raise click.ClickException(error.detail) from error


@click.group(cls=_PlainErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="image-builder", message="%(prog)s %(version)s")
def main() -> None:
    """Serve the image-builder API, which queues builds of operating-system images at a composer.

    All settings are environment variables (or lines of a local.env in the working directory): PGHOST and the other
    PG variables for the database, COMPOSER_URL for the composer, and others. `image-builder config` prints them all.

    Without a database and a composer, `image-builder serve --embedded` starts its own PostgreSQL and stand-in composer.
    """
    values = load_environment().values
    logs.configure(values.get("LOG_LEVEL", "INFO"), values.get("LOG_FORMAT", ""))


main.add_command(serve)
main.add_command(config)
main.add_command(migrate)
main.add_command(maintenance)
main.add_command(distributions)
main.add_command(demo)
