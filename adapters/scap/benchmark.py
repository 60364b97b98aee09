"""XCCDF 1.2 benchmarks: profiles select rules, and a rule's fix is an osbuild blueprint with its requirements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.repodata.errors import content_error


@dataclass(frozen=True, slots=True)
class ValueReference:
    """A placeholder in a fix for the value with this id."""

    value_id: str


@dataclass(slots=True)
class Group:
    """A group of rules. `selected` is its default; `parent` is the id of the group that contains it."""

    selected: bool
    parent: str | None


@dataclass(slots=True)
class Rule:
    """A rule. `fix` is its osbuild blueprint in TOML as a sequence of parts; it is empty if there is none."""

    selected: bool
    parent: str | None
    fix: tuple[str | ValueReference, ...] = ()


@dataclass(slots=True)
class Profile:
    """A profile, without what it inherits from the profile with the id `extends`.

    `selected` maps the ids of rules and groups to whether they are selected. `selectors` chooses alternatives of
    values, and `values` holds the profile's own values, both by the id of the value.
    """

    extends: str | None
    title: str = ""
    description: str = ""
    selected: dict[str, bool] = field(default_factory=dict)
    selectors: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Benchmark:
    """The profiles, groups, rules and values of one benchmark, each by id in document order.

    A value is a dictionary of its alternatives by selector; the default has the empty selector.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)

    def profile(self, profile_id: str) -> Profile:
        """Return the profile including what it inherits.

        Raises UnavailableError if it extends itself or a missing profile, or selects a missing rule or group.
        """
        whole = Profile(extends=None)
        for part in reversed(self._ancestors(profile_id)):
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
        """Return id and fix (with its values inserted) of each rule that the profile selects.

        `profile` is a result of `profile()`. Raises UnavailableError for a missing value.
        """
        groups: dict[str | None, bool] = {None: True}
        for group_id, group in self.groups.items():  # a group's parent comes before it
            groups[group_id] = groups[group.parent] and profile.selected.get(group_id, group.selected)
        for rule_id, rule in self.rules.items():
            if rule.fix and groups[rule.parent] and profile.selected.get(rule_id, rule.selected):
                yield rule_id, "".join(self._fill_in(part, profile, rule_id) for part in rule.fix)

    def _ancestors(self, profile_id: str) -> list[Profile]:
        """Return the profile, the profile that it extends, and so on."""
        ancestors: dict[str, Profile] = {}
        next_id: str | None = profile_id
        while next_id is not None:
            if next_id in ancestors:
                raise content_error(f"{profile_id} extends itself")
            if next_id not in self.profiles:
                raise content_error(f"{profile_id} extends {next_id}, which the benchmark does not have")
            ancestors[next_id] = self.profiles[next_id]
            next_id = ancestors[next_id].extends
        return list(ancestors.values())

    def _fill_in(self, part: str | ValueReference, profile: Profile, rule_id: str) -> str:
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
