"""Files that the code host and editors read name only places that exist."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.service import PROJECT

DEPENDABOT: dict[str, Any] = yaml.safe_load((PROJECT / ".github/dependabot.yml").read_text(encoding="utf-8"))
TEMPLATES = sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
# What each kind of package is declared in.
MANIFESTS = {"uv": "*.in", "npm": "package-lock.json", "gomod": "go.mod", "docker-compose": "compose.yaml"}


def test_dependabot_checks_the_folders_in_which_packages_are_declared() -> None:
    named = {
        (update["package-ecosystem"], directory)
        for update in DEPENDABOT["updates"]
        for directory in update.get("directories", [update.get("directory")])
    }
    assert all(any((PROJECT / directory[1:]).glob(MANIFESTS[kind])) for kind, directory in named)
    declared = {f"/{path.parent.relative_to(PROJECT)}" for path in (PROJECT / "tests").glob("*/*/package.json")}
    assert {directory for kind, directory in named if kind == "npm"} == declared


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.stem)
def test_an_issue_template_has_a_name_a_description_and_questions_with_unique_ids(template: Path) -> None:
    form = yaml.safe_load(template.read_text(encoding="utf-8"))
    questions = [element for element in form["body"] if element["type"] != "markdown"]
    assert form["name"]
    assert form["description"]
    assert all(question["attributes"]["label"] for question in questions)
    assert len({question["id"] for question in questions}) == len(questions)


def test_the_editor_configuration_has_the_line_length_of_the_formatter() -> None:
    parser = ConfigParser()
    parser.read_string("[top]\n" + (PROJECT / ".editorconfig").read_text(encoding="utf-8"))
    assert parser["*"]["max_line_length"] == "120"
    assert parser["{Makefile,*.go,go.mod}"]["indent_style"] == "tab"
