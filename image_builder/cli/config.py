"""`image-builder config`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import click

from image_builder.environment import Environment, environment
from image_builder.preflight import faults
from image_builder.settings import ALL, MaintenanceSettings
from image_builder.variables import Section, Variable, as_text, look, told

_PREFACE: Final = """\
# Configuration

Made by `make docs` from the declarations in `image_builder/settings.py`.

Everything is an environment variable, or a line of a `local.env` in the working directory; the environment wins. An
empty one counts as unset. What cannot be used is said at start, all of it at once and by name, and nothing starts.
`image-builder config` prints what is in force and where each value comes from, secrets masked, and exits with 1 where
something cannot be used.
"""


@click.command()
@click.option("--markdown", is_flag=True, help="All variables there are as a document, whatever the environment says.")
def config(*, markdown: bool) -> None:
    """Print what is in force, and where each value comes from: default, environment, local.env, ACG_CONFIG.

    Secrets are masked, in addresses too. Exit status 1, and all that is wrong on standard error, where the service or
    its maintenance cannot be configured so.
    """
    if markdown:
        click.echo(document(), nl=False)
        return
    found = environment()
    wrong = {**faults(found), **look(MaintenanceSettings, found.values)[1]}
    click.echo("\n".join(_lines(found, wrong)))
    if wrong:
        click.echo(f"Error: {told(wrong)}", err=True)
        raise SystemExit(1)


def document() -> str:
    """docs/configuration.md."""
    return "\n".join([_PREFACE, *(line for section, group in _sections() for line in _table(section, group))])


def _lines(found: Environment, wrong: Iterable[str]) -> Iterator[str]:
    rows = [_row(variable, found, wrong) for variable in ALL.values()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        yield f"{name:{widths[0]}}  {value:{widths[1]}}  {origin}"


def _row(variable: Variable, found: Environment, wrong: Iterable[str]) -> tuple[str, str, str]:
    text = found.values.get(variable.name)
    origin = found.origins.get(variable.name, "default")
    if text is None:
        return variable.name, as_text(variable.default) or "-", origin
    # What has not the form it should have may hold a secret in any place.
    return variable.name, "(cannot be used)" if variable.name in wrong else variable.shown(text), origin


def _sections() -> Iterator[tuple[Section, list[Variable]]]:
    order = list(dict.fromkeys(variable.section for variable in ALL.values()))
    in_order = sorted(ALL.values(), key=lambda variable: order.index(variable.section))
    for section, group in groupby(in_order, key=lambda variable: variable.section):
        yield section, list(group)


def _table(section: Section, group: Iterable[Variable]) -> Iterator[str]:
    yield f"## {section.title}\n"
    if section.explanation:
        yield f"{section.explanation}\n"
    yield "| variable | default | value | meaning |"
    yield "| --- | --- | --- | --- |"
    for each in group:
        default = "**needed**" if each.required else each.shown_default or "-"
        values = f"{each.values}, secret" if each.secret else each.values
        yield f"| `{each.name}` | {default} | {values} | {each.meaning} |"
    yield ""
