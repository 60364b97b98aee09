"""Fingerprints of JSON documents."""

from __future__ import annotations

from adapters.fingerprints import HmacFingerprints

DOCUMENT = {"a": 1, "b": {"c": [1, 2]}}


def test_the_order_of_keys_does_not_matter() -> None:
    prints = HmacFingerprints("secret")
    assert prints.compute({"b": {"c": [1, 2]}, "a": 1}) == prints.compute(DOCUMENT)


def test_pods_with_the_same_secret_agree() -> None:
    one, another = HmacFingerprints("secret"), HmacFingerprints("secret")
    assert one.compute(DOCUMENT) == another.compute(DOCUMENT)
    assert one.is_comparable(another.compute(DOCUMENT))


def test_fingerprints_of_different_secrets_are_not_comparable() -> None:
    ours, theirs = HmacFingerprints("secret"), HmacFingerprints("guess")
    assert ours.compute(DOCUMENT) != theirs.compute(DOCUMENT)
    assert not theirs.is_comparable(ours.compute(DOCUMENT))


def test_other_documents_have_other_fingerprints() -> None:
    prints = HmacFingerprints("secret")
    others = [{"a": 2, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [2, 1]}}, {"a": 1}, {}]
    assert len({prints.compute(each) for each in [DOCUMENT, *others]}) == 5


def test_without_a_secret_fingerprints_are_computed_too() -> None:
    assert HmacFingerprints("").compute(DOCUMENT) == HmacFingerprints("").compute(DOCUMENT)
