"""Requests of builds as programs of any age may have stored them, for Hypothesis."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

_VALUES: Final = st.sampled_from([None, True, False, 0, 1, "", "p", [], {}, {"a": None}, [None]])
_USERS: Final = st.one_of(
    _VALUES,
    st.lists(
        st.one_of(_VALUES, st.dictionaries(st.sampled_from(["name", "password", "hasPassword", "groups"]), _VALUES)),
        max_size=4,
    ),
)
_CUSTOMIZATIONS: Final = st.one_of(
    _VALUES, st.fixed_dictionaries({}, optional={"users": _USERS, "packages": _VALUES, "text": st.just('": null')})
)


def stored_requests() -> st.SearchStrategy[dict[str, Any]]:
    """Requests with and without passwords, nulls, images, and users of any shape."""
    return st.fixed_dictionaries(
        {}, optional={"customizations": _CUSTOMIZATIONS, "distribution": _VALUES, "image_requests": _VALUES}
    )
