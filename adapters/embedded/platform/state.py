"""The documents of the stand-in platform: the sample data, and added documents in a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from adapters.embedded.platform.sample_data import red_hat
from adapters.embedded.private_files import close_to_others, make_folder, replace_file

MEMORY: Final = ":memory:"
KINDS: Final = ("repositories", "templates", "sources", "policies")
Documents = dict[str, dict[str, Any]]


def repository(uuid: str, origin: str, name: str, url: str) -> dict[str, Any]:
    """A repository with default values for all other keys."""
    return {
        "uuid": uuid,
        "name": name,
        "label": name.lower().replace(" ", "-"),
        "url": url,
        "origin": origin,
        "content_type": "rpm",
        "distribution_arch": "x86_64",
        "distribution_versions": ["9"],
        "gpg_key": "",
        "snapshot": True,
        "metadata_verification": False,
        "module_hotfixes": False,
        "status": "Valid",
        "package_count": 42,
    }


class DocumentStore:
    """Repositories, templates, sources and policies by their ids; changes survive a restart."""

    def __init__(self, path: str, built_in: Mapping[str, Documents]) -> None:
        """Read the file at `path` if it exists, and make it private; `:memory:` stores nothing on disk."""
        self._path = None if path == MEMORY else Path(path)
        self._built_in = built_in
        self._added: dict[str, dict[str, dict[str, Any] | None]] = {kind: {} for kind in KINDS}
        if self._path:
            make_folder(self._path.parent)
            for file in (self._path, self._path.with_name(self._path.name + ".new")):
                close_to_others(file)
            if self._path.exists():
                self._added |= orjson.loads(self._path.read_bytes())

    def all(self, kind: str) -> Documents:
        """All documents of this kind by id."""
        merged = dict(self._built_in[kind])
        for key, changes in self._added[kind].items():
            if changes is None:
                merged.pop(key, None)
            else:
                merged[key] = merged.get(key, {}) | changes
        return merged

    def find(self, kind: str, key: str) -> dict[str, Any] | None:
        """The document with this id, None if there is none."""
        return self.all(kind).get(key)

    def add(self, document: Mapping[str, Any]) -> None:
        """Add or change the documents in a document of PUT /stand-in/behaviour."""
        for one in document.get("repositories", ()):
            key = str(one.get("uuid") or red_hat(one["url"])).lower()
            usual = {} if self.find("repositories", key) else repository(key, "external", key, "")
            self._merge("repositories", key, {**usual, **one, "uuid": key})
        for kind, name in (("templates", "uuid"), ("policies", "id")):
            for one in document.get(kind, ()):
                key = str(one[name]).lower()
                self._merge(kind, key, {**one, name: key})
        for key, source in document.get("sources", {}).items():
            self._added["sources"][key] = source
        self._write()

    def clear(self) -> None:
        """Remove all added documents."""
        self._added = {kind: {} for kind in KINDS}
        self._write()

    def added(self) -> dict[str, Any]:
        """The ids of the added documents, by kind."""
        return {kind: list(documents) for kind, documents in self._added.items()}

    def _merge(self, kind: str, key: str, changes: dict[str, Any]) -> None:
        self._added[kind][key] = (self._added[kind].get(key) or {}) | changes

    def _write(self) -> None:
        if self._path:
            replace_file(self._path, orjson.dumps(self._added))
