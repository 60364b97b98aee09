"""Files that README.md and SECURITY.md name exist."""

from __future__ import annotations

import re

import pytest

from tests.support.openshift import PROJECT

_PATHS = re.compile(r"`((?:deploy/|compose)[\w./-]+)`|\]\(([\w./-]+)\)")


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md"])
def test_files_that_a_document_names_exist(document: str) -> None:
    named = {first or second for first, second in _PATHS.findall((PROJECT / document).read_text(encoding="utf-8"))}
    assert named
    assert [path for path in sorted(named) if not (PROJECT / path).exists()] == []
