"""The client of package recommendations, over HTTP."""

import pytest
import stamina

from adapters.embedded.platform.process import StandInPlatform
from adapters.http.client import BackEnd, new_session
from adapters.http.recommendations import HttpRecommendations
from adapters.http.tokens import Credentials, Tokens
from domain.errors import UnavailableError
from ports.deadline import until
from ports.recommendations import Recommended
from tests.support.customers import BROKEN, MEANINGLESS, SLOW, asking, is_discreet, reaching
from tests.support.loopback import Loopback, answer, refused_url
from tests.support.waiting import BRIEFLY

AWAY = "Recommendations gives no usable answer"
# An object that has no packages is an answer.
NO_ANSWER = {name: step for name, step in MEANINGLESS.items() if not name.startswith("data")}


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def recommendations(*steps):
    return asking(HttpRecommendations, *steps)


def recommended(it):
    return it.recommend(["nginx", "vim"], 5, "rhel9")


def test_the_request_has_the_keys_of_the_contract_and_no_identity():
    with recommendations(answer(200, {"packages": [], "modelVersion": "1"})) as (it, asked):
        recommended(it)
    (question,) = asked
    assert (question.method, question.path) == ("POST", "/packages/recommendations")
    assert question.body == b'{"packages":["nginx","vim"],"recommendedPackages":5,"distribution":"rhel9"}'
    assert "x-rh-identity" not in question.headers


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"packages": ["b", "a"], "modelVersion": "7", "more": 1}, Recommended(("b", "a"), "7")),
        ({"packages": ["a"]}, Recommended(("a",))),
        ({"packages": ["a"], "modelVersion": None}, Recommended(("a",))),
        ({"packages": [], "modelVersion": "7"}, Recommended((), "7")),
        ({"packages": None, "modelVersion": "7"}, Recommended((), "7")),
        ({}, Recommended(())),
    ],
    ids=["packages", "no model", "null model", "none", "null", "nothing"],
)
def test_packages_are_returned_in_their_order_with_the_model_that_found_them(given, expected):
    with recommendations(answer(200, given)) as (it, _):
        assert recommended(it) == expected


@pytest.mark.parametrize(
    "step",
    [
        *BROKEN.values(),
        *NO_ANSWER.values(),
        *(answer(status) for status in (204, 400, 401, 403, 404)),
        answer(200, {"packages": "a"}),
        answer(200, {"packages": [1]}),
        answer(200, {"packages": [], "modelVersion": 7}),
    ],
    ids=[*BROKEN, *NO_ANSWER, "204", "400", "401", "403", "404", "text", "number", "number as model"],
)
def test_an_unusable_answer_means_that_recommendations_are_unavailable(step):
    with recommendations(step) as (it, _), pytest.raises(UnavailableError) as away:
        recommended(it)
    assert away.value.detail == AWAY
    assert is_discreet(away.value.detail)


@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_a_late_answer_means_that_recommendations_are_unavailable_in_time(step):
    with recommendations(step) as (it, asked), until(BRIEFLY), pytest.raises(UnavailableError, match=AWAY):
        recommended(it)
    assert len(asked) == 1


def test_a_refused_connection_means_that_recommendations_are_unavailable():
    with reaching(HttpRecommendations, refused_url()) as it, pytest.raises(UnavailableError, match=AWAY):
        recommended(it)


def test_a_refusing_token_endpoint_means_that_recommendations_are_unavailable():
    with Loopback(answer(401)) as endpoint, Loopback() as server:
        session = new_session(1)
        tokens = Tokens(Credentials(endpoint.url, "us", "secret"), session)
        back_end = BackEnd("recommendations", server.url, connections=1, tokens=tokens)
        with pytest.raises(UnavailableError, match=AWAY):
            recommended(HttpRecommendations(back_end))
        back_end.close()
        session.close()
    assert server.asked == []


def test_the_answer_of_the_stand_in_is_read():
    with StandInPlatform() as platform:
        session = new_session(1)
        tokens = Tokens(Credentials(platform.token_url, "us", "secret"), session)
        back_end = BackEnd("recommendations", platform.recommendations_url, connections=1, tokens=tokens)
        found = HttpRecommendations(back_end).recommend(["nginx"], 2, "rhel9")
        back_end.close()
        session.close()
    assert found == Recommended(("httpd", "mod_ssl"), "stand-in-1")
