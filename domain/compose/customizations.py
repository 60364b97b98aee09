"""Write the composer's `customizations` (its Customizations) from ours (openapi.yaml, schema Customizations)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from domain.base64_data import decode_base64_text
from domain.compose.aap import get_aap_additions
from domain.compose.additions import Additions
from domain.compose.context import BuildContext
from domain.compose.customer_repositories import write_custom_repositories, write_payload_repositories
from domain.compose.request import Json
from domain.compose.subscription import get_rhcd_additions, write_subscription
from domain.compose.tailoring import get_tailoring_additions, write_policy
from domain.errors import InvalidRequestError

# Customizations that have the same form in our API and in the composer's.
_SAME_IN_BOTH: Final = (
    "packages",
    "enabled_modules",
    "groups",
    "containers",
    "locale",
    "kernel",
    "firewall",  # but for its zones
    "timezone",
    "installation_device",
    "fdo",
    "ignition",
    "fips",
    "installer",
    "hostname",
    "cacerts",
    "disk",  # but for blanks around its sizes
    "partitioning_mode",
    "rpm",
    "rhsm",
    "dnf",
)
_USER_DETAILS: Final = ("description", "home", "shell", "uid", "gid")
_OPENSCAP_FIELDS: Final = ("profile_id", "datastream", "tailoring", "json_tailoring")
# The order decides whose files and services come first.
_ADDITIONS: Final[tuple[Callable[[BuildContext], Additions], ...]] = (
    get_tailoring_additions,
    get_rhcd_additions,
    get_aap_additions,
)


def translate_customizations(customizations: Json | None) -> dict[str, Any] | None:
    """Translate those customizations that do not depend on lookups into the composer's form; None for None.

    Raises InvalidRequestError for a file whose data is not base64 of UTF-8 text.
    """
    if customizations is None:
        return None
    return {name: writer(customizations[name]) for name, writer in _WRITERS.items() if name in customizations}


def find_encoding_faults(customizations: Json) -> Iterator[tuple[str, InvalidRequestError]]:
    """Yield the errors that `translate_customizations` raises, each with the path of its field."""
    for index, file in enumerate(customizations.get("files", ())):
        try:
            _write_file(file)
        except InvalidRequestError as error:
            yield f"customizations.files[{index}].data", error


def write_customizations(context: BuildContext) -> dict[str, Any] | None:
    """Return the composer's `customizations` without empty lists; None if the image needs none.

    Raises InvalidRequestError for a repository or a template without a snapshot, and for a policy that does not apply.
    """
    if context.customizations is None:
        # An image from a content template has the template's repositories even without customizations.
        payload = write_payload_repositories(context)
        return {"payload_repositories": payload} if payload else None
    result = dict(context.customizations)
    if context.request.has_customization("subscription"):
        result["subscription"] = write_subscription(context)
    result["payload_repositories"] = write_payload_repositories(context)
    result["custom_repositories"] = write_custom_repositories(context)
    policy = write_policy(context)
    if policy is not None:
        result["openscap"] = policy
    for get_additions in _ADDITIONS:
        _insert(get_additions(context), result)
    return {name: value for name, value in result.items() if value != []}


def _insert(additions: Additions, customizations: dict[str, Any]) -> None:
    if additions.directories:
        customizations["directories"] = [*additions.directories, *customizations.get("directories", ())]
    if additions.first_files or additions.last_files:
        customizations["files"] = [*additions.first_files, *customizations.get("files", ()), *additions.last_files]
    if additions.certificates:
        customizations["cacerts"] = {
            "pem_certs": [*customizations.get("cacerts", {}).get("pem_certs", ()), *additions.certificates]
        }
    for service in additions.services:
        _enable(service, customizations)


def _enable(service: str, customizations: dict[str, Any]) -> None:
    services = customizations.get("services", {})
    enabled = services.get("enabled", [])
    if service not in enabled:
        customizations["services"] = {**services, "enabled": [*enabled, service]}


def _copy(value: Any) -> Any:
    return value


def _write_services(services: Json) -> dict[str, Any]:
    # The composer refuses empty lists of services.
    return {state: names for state, names in services.items() if names}


def _write_filesystem(entries: list[Json]) -> list[dict[str, Any]]:
    return [{"mountpoint": entry["mountpoint"], "min_size": entry["min_size"]} for entry in entries]


def _write_users(users: list[Json]) -> list[dict[str, Any]]:
    return [_write_user(user) for user in users]


def _write_user(user: Json) -> dict[str, Any]:
    translated: dict[str, Any] = {"name": user["name"]}
    if user.get("groups"):
        translated["groups"] = user["groups"]
    if user.get("ssh_key"):
        translated["key"] = user["ssh_key"]
    if user.get("password"):
        translated["password"] = user["password"]
    # The composer's customizations have no place for these: see domain.compose.blueprint_form.
    return {**translated, **{name: user[name] for name in _USER_DETAILS if user.get(name, "") != ""}}


def _write_files(files: list[Json]) -> list[dict[str, Any]]:
    return [_write_file(file) for file in files]


def _write_file(file: Json) -> dict[str, Any]:
    translated = _write_node({key: value for key, value in file.items() if key != "data_encoding"})
    if file.get("data_encoding") == "base64" and "data" in file:
        translated["data"] = _decode(file)
    return translated


def _write_directories(directories: list[Json]) -> list[dict[str, Any]]:
    return [_write_node(directory) for directory in directories]


def _write_node(node: Json) -> dict[str, Any]:
    """A file or a directory without an empty mode, which means the usual one."""
    return {key: value for key, value in node.items() if key != "mode" or value}


def _write_firewall(firewall: Json) -> dict[str, Any]:
    return {name: value for name, value in firewall.items() if name != "zones" or value}


def _write_disk(disk: Json) -> dict[str, Any]:
    """The disk without blanks around its sizes, at every level."""
    written: dict[str, Any] = {}
    for name, value in disk.items():
        if name == "minsize" and isinstance(value, str):
            written[name] = value.strip(" ")
        elif name in {"partitions", "logical_volumes"}:
            written[name] = [_write_disk(each) for each in value]
        else:
            written[name] = value
    return written


def _decode(file: Json) -> str:
    try:
        return decode_base64_text(file["data"])
    except ValueError:
        raise InvalidRequestError(f'file "{file["path"]}": data is not base64 of UTF-8 text') from None


def _write_openscap_profile(openscap: Json) -> dict[str, Any]:
    return {name: openscap[name] for name in _OPENSCAP_FIELDS if openscap.get(name)}


_WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_SAME_IN_BOTH, _copy),
    "filesystem": _write_filesystem,
    "users": _write_users,
    "files": _write_files,
    "directories": _write_directories,
    "firewall": _write_firewall,
    "disk": _write_disk,
    "openscap": _write_openscap_profile,
    "services": _write_services,
}
