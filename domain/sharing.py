"""Caches results by the identity of large objects that several documents share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Concatenate, ParamSpec, TypeVar

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


def cache_by_identity(function: Callable[Concatenate[A, P], R]) -> Callable[Concatenate[A, P], R]:
    """Return a function that caches the results of `function` by the identity of its first argument.

    The first argument need not be hashable; the other arguments are positional and must be. The returned function keeps
    the objects and the results alive.
    """
    # Each entry holds its object, because another object could get the same id after its end.
    results: dict[Hashable, tuple[A, R]] = {}

    def call(argument: A, /, *others: P.args, **named: P.kwargs) -> R:
        key = (id(argument), *others)
        known = results.get(key)
        if known is None:
            known = results[key] = argument, function(argument, *others, **named)
        return known[1]

    return call
