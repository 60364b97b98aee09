"""Recommendation of packages."""

import pytest

from domain.errors import UnavailableError
from image_builder.usecases.recommendations import RecommendPackages
from ports.recommendations import Recommended


class FakeRecommendations:
    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def recommend(self, packages, count, distribution):
        self.asked.append((packages, count, distribution))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_request_is_passed_on_and_the_answer_names_its_model():
    service = FakeRecommendations(Recommended(("b", "a"), "7"))
    assert RecommendPackages(service)(["nginx"], 2, "rhel9") == Recommended(("b", "a"), "7")
    assert service.asked == [(["nginx"], 2, "rhel9")]


def test_an_empty_answer_names_no_model():
    assert RecommendPackages(FakeRecommendations(Recommended((), "7")))(["nginx"], 2, "rhel9") == Recommended(())


def test_a_service_that_fails_is_an_error_and_not_an_empty_answer():
    with pytest.raises(UnavailableError):
        RecommendPackages(FakeRecommendations(UnavailableError("away")))(["nginx"], 2, "rhel9")


def test_without_a_service_the_error_has_no_time_to_retry():
    with pytest.raises(UnavailableError, match="recommendations, which is not set up") as refused:
        RecommendPackages(None)(["nginx"], 2, "rhel9")
    assert refused.value.retry_after is None
