"""A benchmark (XCCDF 1.2): profiles, which select rules, and what rules ask of an image (their osbuild fixes)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.repodata.errors import content_error


@dataclass(frozen=True, slots=True)
class ValueReference:
    """A place in a fix that the value with this id is filled into."""

    value_id: str


@dataclass(slots=True)
class Group:
    """Rules that are selected together; `parent` is the id of the group around it."""

    selected: bool
    parent: str | None


@dataclass(slots=True)
class Rule:
    """A rule; `fix` is its osbuild blueprint in TOML, in parts, empty where it has none."""

    selected: bool
    parent: str | None
    fix: tuple[str | ValueReference, ...] = ()


@dataclass(slots=True)
class Profile:
    """A profile as it is written: what it says itself, beside what it inherits from the profile that it extends.

    `selected` are rules and groups by id, `selectors` which of a value's alternatives is meant, and `values` values of
    the profile's own, both by the value's id.
    """

    extends: str | None
    title: str = ""
    description: str = ""
    selected: dict[str, bool] = field(default_factory=dict)
    selectors: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Benchmark:
    """The profiles, groups, rules and values of one benchmark, each by id in the order of the document.

    A value's alternatives are by selector, its default by the empty one.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)

    def profile(self, profile_id: str) -> Profile:
        """The profile with all that it inherits.

        Raises `UnavailableError` when it extends a profile that is not there or itself, or selects what is not there.
        """
        whole = Profile(extends=None)
        for part in reversed(self._line(profile_id)):
            whole.title = part.title or whole.title
            whole.description = part.description or whole.description
            whole.selected |= part.selected
            whole.selectors |= part.selectors
            whole.values |= part.values
        for item in whole.selected:
            if item not in self.rules and item not in self.groups:
                raise content_error(f"{profile_id} selects {item}, which the benchmark does not have")
        return whole

    def fixes(self, profile: Profile) -> Iterator[tuple[str, str]]:
        """Id and fix of the rules that a profile with all that it inherits selects, values filled in.

        Raises `UnavailableError` for a value that is not there.
        """
        groups: dict[str | None, bool] = {None: True}
        for group_id, group in self.groups.items():  # the one around it comes first
            groups[group_id] = groups[group.parent] and profile.selected.get(group_id, group.selected)
        for rule_id, rule in self.rules.items():
            if rule.fix and groups[rule.parent] and profile.selected.get(rule_id, rule.selected):
                yield rule_id, "".join(self._filled(part, profile, rule_id) for part in rule.fix)

    def _line(self, profile_id: str) -> list[Profile]:
        """The profile, the one that it extends, and so on."""
        seen: dict[str, Profile] = {}
        following: str | None = profile_id
        while following is not None:
            if following in seen:
                raise content_error(f"{profile_id} extends itself")
            if following not in self.profiles:
                raise content_error(f"{profile_id} extends {following}, which the benchmark does not have")
            seen[following] = self.profiles[following]
            following = seen[following].extends
        return list(seen.values())

    def _filled(self, part: str | ValueReference, profile: Profile, rule_id: str) -> str:
        if isinstance(part, str):
            return part
        if part.value_id in profile.values:
            return profile.values[part.value_id]
        selector = profile.selectors.get(part.value_id, "")
        value = self.values.get(part.value_id, {}).get(selector)
        if value is None:
            which = f"value {part.value_id}" + (f" with the selector {selector}" if selector else "")
            raise content_error(f"the fix of {rule_id} refers to the {which}, which the benchmark does not have")
        return value
