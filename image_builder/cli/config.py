"""`image-builder config`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import click

from image_builder.configuration.environment import Environment, load_environment
from image_builder.configuration.preflight import find_faults
from image_builder.configuration.sections import MaintenanceSettings
from image_builder.configuration.settings import ALL_VARIABLES
from image_builder.configuration.variables import Section, Variable, format_default, format_faults, read_variables

_PREFACE: Final = """\
# Configuration

Written by `make docs` from the declarations in `image_builder/configuration/sections.py` and `serving.py`.

Every setting is an environment variable, or a line of a `local.env` in the working directory; the environment takes
precedence. An empty variable counts as unset. If a variable cannot be used, the service names all faults and does not
start. `image-builder config` prints every value and its source, masks secrets, and exits with 1 if a variable cannot be
used.
"""


@click.command()
@click.option(
    "--markdown",
    is_flag=True,
    help="Print a document that describes all variables instead; the environment does not matter.",
)
def config(*, markdown: bool) -> None:
    """Print every variable's value and its source: default, environment, local.env or ACG_CONFIG.

    Secrets are masked, also in URLs. If the service or its maintenance could not start, all faults are printed on
    standard error and the exit status is 1.
    """
    if markdown:
        click.echo(format_document(), nl=False)
        return
    environment = load_environment()
    faults = {**find_faults(environment), **read_variables(MaintenanceSettings, environment.values)[1]}
    click.echo("\n".join(_lines(environment, faults)))
    if faults:
        click.echo(f"Error: {format_faults(faults)}", err=True)
        raise SystemExit(1)


def format_document() -> str:
    """The text of docs/configuration.md."""
    return "\n".join([_PREFACE, *(line for section, group in _sections() for line in _table(section, group))])


def _lines(environment: Environment, faulty: Iterable[str]) -> Iterator[str]:
    rows = [_row(variable, environment, faulty) for variable in ALL_VARIABLES.values()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        yield f"{name:{widths[0]}}  {value:{widths[1]}}  {source}"


def _row(variable: Variable, environment: Environment, faulty: Iterable[str]) -> tuple[str, str, str]:
    value = environment.values.get(variable.name)
    source = environment.sources.get(variable.name, "default")
    if value is None:
        automatic = variable.describe_automatic() if variable.describe_automatic is not None else ""
        return variable.name, automatic or format_default(variable.default) or variable.shown_default or "-", source
    # Masking needs a value that can be parsed: any part of another one may be a secret.
    return variable.name, "(cannot be used)" if variable.name in faulty else variable.mask(value), source


def _sections() -> Iterator[tuple[Section, list[Variable]]]:
    every = ALL_VARIABLES.values()
    order = list(dict.fromkeys(variable.section for variable in every))
    in_order = sorted(every, key=lambda variable: order.index(variable.section))
    for section, group in groupby(in_order, key=lambda variable: variable.section):
        yield section, list(group)


def _table(section: Section, group: Iterable[Variable]) -> Iterator[str]:
    yield f"## {section.title}\n"
    if section.explanation:
        yield f"{section.explanation}\n"
    yield "| variable | default | value | meaning |"
    yield "| --- | --- | --- | --- |"
    for each in group:
        default = "**required**" if each.required else each.shown_default or "-"
        values = f"{each.values}, secret" if each.secret else each.values
        yield f"| `{each.name}` | {default} | {values} | {each.meaning} |"
    yield ""
