"""What is made of large parts of documents is made once, where several documents share the parts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Concatenate, ParamSpec, TypeVar

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


def once_for_each(function: Callable[Concatenate[A, P], R]) -> Callable[Concatenate[A, P], R]:
    """The function, called once for each object that is its first argument, which may be of a kind without a hash.

    The other arguments are positional and have a hash. What is returned keeps the objects and the results alive.
    """
    # With the object itself: while it lives, no other has its id.
    results: dict[Hashable, tuple[A, R]] = {}

    def call(argument: A, /, *others: P.args, **named: P.kwargs) -> R:
        key = (id(argument), *others)
        if key not in results:
            results[key] = argument, function(argument, *others, **named)
        return results[key][1]

    return call
