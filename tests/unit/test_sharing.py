"""The cache by identity of domain.sharing."""

from __future__ import annotations

from domain.sharing import cache_by_identity


def test_the_function_is_called_once_for_an_object_and_again_for_an_equal_one() -> None:
    worked_on: list[dict[str, int]] = []
    make = cache_by_identity(lambda value: worked_on.append(value) or len(worked_on))
    one, other = {"a": 1}, {"a": 1}
    assert [make(one), make(other), make(one)] == [1, 2, 1]


def test_results_depend_on_the_other_arguments() -> None:
    make = cache_by_identity(lambda value, name: f"{name}{len(value)}")
    value = [1]
    assert [make(value, "a"), make(value, "b"), make(value, "a")] == ["a1", "b1", "a1"]


def test_an_object_without_other_references_is_not_confused_with_a_later_one() -> None:
    make = cache_by_identity(lambda value: value[0])
    assert [make([number]) for number in range(1000)] == list(range(1000))
