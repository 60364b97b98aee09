"""Documents without nulls."""

from domain.nulls import without_nested_nulls, without_nulls

DOCUMENT = {"a": None, "b": {"c": None, "d": [None, {"e": None}, 0, False, ""]}, "f": []}


def test_only_the_keys_of_the_mapping_itself_are_removed():
    assert without_nulls(DOCUMENT) == {"b": {"c": None, "d": [None, {"e": None}, 0, False, ""]}, "f": []}


def test_keys_are_removed_at_any_depth_and_entries_of_lists_stay():
    assert without_nested_nulls(DOCUMENT) == {"b": {"d": [None, {}, 0, False, ""]}, "f": []}


def test_entries_of_lists_are_removed_on_request():
    assert without_nested_nulls(DOCUMENT, in_lists=True) == {"b": {"d": [{}, 0, False, ""]}, "f": []}


def test_the_document_itself_is_not_changed():
    before = repr(DOCUMENT)
    without_nested_nulls(DOCUMENT, in_lists=True)
    assert repr(DOCUMENT) == before
