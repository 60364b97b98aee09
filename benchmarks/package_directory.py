"""A distribution directory with package lists of the size real ones have."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Final

import orjson

from adapters.files.distributions import load_distributions
from adapters.files.package_list_files import distributions_by_folder, package_list_paths
from tests.support.service import PROJECT

_LISTS: Final = 120
_PACKAGES: Final = (2_000, 8_000)
_BEFORE: Final = ("", "", "lib", "python3-", "perl-", "golang-", "rubygem-", "texlive-", "kernel-", "rust-", "php-")
_AFTER: Final = ("", "", "-devel", "-doc", "-libs", "-common", "-debuginfo", "-tools", "-static")
_SYLLABLES: Final = [c + v + end for c in "bcdfghklmnprstvz" for v in "aeiou" for end in ("", "n", "r", "s")]
_WORDS: Final = ("a", "library", "for", "the", "tools", "of", "development", "files", "Perl", "interface", "to", "GNU")


def make(path: Path) -> Path:
    """The 45 distributions that come with the service, with 120 package lists: some 50 MB, always the same."""
    shutil.copytree(PROJECT / "distributions", path, symlinks=True)
    random = Random(6)
    files = [
        file
        for distribution in distributions_by_folder(path, load_distributions(path)).values()
        for _, repository, file in package_list_paths(path, distribution)
        if not repository.image_type_tags
    ]
    for file in random.sample(files, _LISTS):
        names: set[str] = set()
        count = random.randint(*_PACKAGES)
        while len(names) < count:
            names.add(_name(random))
        listed = [{"name": name, "summary": _summary(random)} for name in sorted(names)]
        file.write_bytes(orjson.dumps(listed, option=orjson.OPT_INDENT_2))
    return path


def _name(random: Random) -> str:
    middle = "".join(random.choice(_SYLLABLES) for _ in range(random.randint(2, 4)))
    return random.choice(_BEFORE) + middle + random.choice(_AFTER)


def _summary(random: Random) -> str:
    return " ".join(random.choice(_WORDS) for _ in range(random.randint(4, 9)))
