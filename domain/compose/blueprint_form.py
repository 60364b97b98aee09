"""The composer's `blueprint`, which takes what its `customizations` have no place for; a request has one of the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from domain.compose.request import ComposeRequest, Json
from domain.errors import InvalidRequestError

_DEFAULT_NAME: Final = "image"
_USER_FIELDS: Final = ("description", "home", "shell", "uid", "gid")
# Keys of the composer's blueprint that stand beside its customizations.
_TOP_LEVEL: Final = ("packages", "enabled_modules", "containers")
_REPOSITORY_KEYS: Final = {
    "baseurl": "baseurls",
    "gpgkey": "gpgkeys",
    "check_gpg": "gpgcheck",
    "check_repo_gpg": "repo_gpgcheck",
    "ssl_verify": "sslverify",
}


def find_blueprint_field(customizations: Json) -> str | None:
    """The first field of the composer's customizations that only its blueprint has a place for; None for none."""
    for index, user in enumerate(customizations.get("users", ())):
        for field in _USER_FIELDS:
            if field in user:
                return f"customizations.users[{index}].{field}"
    if "zones" in customizations.get("firewall", {}):
        return "customizations.firewall.zones"
    return "customizations.openscap.datastream" if "datastream" in customizations.get("openscap", {}) else None


def write_blueprint(customizations: Json, request: ComposeRequest, field: str) -> dict[str, Any]:
    """The composer's blueprint for its customizations; `field` is the one that needs it, see `find_blueprint_field`.

    Raises InvalidRequestError, which names both fields, where the request also has what a blueprint cannot express.
    """
    for other in _find_inexpressible(customizations, request):
        raise InvalidRequestError(f"{field} cannot be built together with {other}: the composer takes one of them only")
    written = {
        _KEYS.get(key, key): _WRITERS[key](value) if key in _WRITERS else value
        for key, value in customizations.items()
        if key not in _TOP_LEVEL
    }
    return {
        "name": request.image_name or _DEFAULT_NAME,
        **write_package_lists(customizations),
        **_copy(customizations, "containers"),
        "customizations": written,
    }


def write_package_lists(customizations: Json) -> dict[str, Any]:
    """The blueprint's packages, groups of packages and modules for the composer's customizations."""
    packages = customizations.get("packages", ())
    return {
        **_list_names("packages", [name for name in packages if not _is_group(name)]),
        **_list_names("groups", [name.removeprefix("@") for name in packages if _is_group(name)]),
        **_copy(customizations, "enabled_modules"),
    }


def _find_inexpressible(customizations: Json, request: ComposeRequest) -> Iterator[str]:
    if "subscription" in customizations:
        yield "customizations.subscription"
    if "payload_repositories" in customizations:
        template = request.image.content_template
        yield f"the repositories of content template {template}" if template else "customizations.payload_repositories"
    if request.has_customization("aap_registration"):
        yield "customizations.aap_registration"
    for index, file in enumerate(request.get_customization("files", ())):
        if file.get("ensure_parents"):
            yield f"customizations.files[{index}].ensure_parents"


def _is_group(package: str) -> bool:
    return package.startswith("@") and package != "@"


def _list_names(key: str, names: list[str]) -> dict[str, Any]:
    return {key: [{"name": name} for name in names]} if names else {}


def _copy(customizations: Json, key: str) -> dict[str, Any]:
    return {key: customizations[key]} if customizations.get(key) else {}


def _write_files(files: list[Json]) -> list[dict[str, Any]]:
    return [{key: value for key, value in file.items() if key != "ensure_parents"} for file in files]


def _write_filesystem(entries: list[Json]) -> list[dict[str, Any]]:
    return [{"mountpoint": entry["mountpoint"], "minsize": str(entry["min_size"])} for entry in entries]


def _write_repositories(repositories: list[Json]) -> list[dict[str, Any]]:
    return [{_REPOSITORY_KEYS.get(key, key): value for key, value in repository.items()} for repository in repositories]


def _write_fips(fips: Json) -> bool:
    return bool(fips.get("enabled"))


_KEYS: Final[Mapping[str, str]] = {"users": "user", "groups": "group", "custom_repositories": "repositories"}
_WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "files": _write_files,
    "filesystem": _write_filesystem,
    "custom_repositories": _write_repositories,
    "fips": _write_fips,
}
