"""Back-ends that are created from the settings of the environment."""

import pytest

from domain.errors import UnavailableError
from image_builder.composition.container import Container
from image_builder.configuration.settings import load_settings
from ports.recommendations import Recommended
from tests.support.loopback import Loopback, answer, refused_url
from tests.support.proxy import proxying

TOKEN = answer(200, {"access_token": "t", "expires_in": 900})
FOUND = answer(200, {"packages": ["vim"], "modelVersion": "7"})


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """A container with the settings of these variables."""
    monkeypatch.chdir(tmp_path)  # where no local.env is
    containers = []

    def container(**variables):
        for name, value in {"COMPOSER_URL": "http://127.0.0.1:1", **variables}.items():
            monkeypatch.setenv(name, value)
        containers.append(Container(settings=load_settings()))
        return containers[-1]

    yield container
    for one in containers:
        one.back_ends().close()


def recommended(container):
    return container.back_ends().recommendations.recommend(["nginx"], 1, "rhel9")


def test_without_configuration_there_is_no_client_for_recommendations(configured):
    assert configured(RECOMMENDATIONS_TOKEN_URL="http://tokens.example.com").back_ends().recommendations is None


def test_recommendations_are_called_with_a_token_through_the_proxy_and_with_the_configured_ca(configured, ours):
    with (
        Loopback(TOKEN, tls=ours.server) as tokens,
        Loopback(FOUND, tls=ours.server) as server,
        Loopback(proxying) as proxy,
    ):
        container = configured(
            RECOMMENDATIONS_URL=f"{server.url}/api",
            RECOMMENDATIONS_TOKEN_URL=f"{tokens.url}/token",
            RECOMMENDATIONS_CLIENT_ID="us",
            RECOMMENDATIONS_CLIENT_SECRET="secret",
            RECOMMENDATIONS_CA_PATH=ours.file,
            RECOMMENDATIONS_PROXY=proxy.url,
        )
        assert recommended(container) == Recommended(("vim",), "7")
    assert tokens.asked[0].form["client_id"] == ["us"]
    assert tokens.asked[0].form["client_secret"] == ["secret"]
    assert server.asked[0].path == "/api/packages/recommendations"
    assert server.asked[0].headers["authorization"] == "Bearer t"
    assert [asked.method for asked in proxy.asked] == ["CONNECT", "CONNECT"]


@pytest.mark.parametrize("stranger", ["back-end", "token endpoint"])
def test_recommendations_with_a_certificate_of_another_ca_get_no_request(configured, ours, another, stranger):
    def certified(name):
        return another.server if name == stranger else ours.server

    with (
        Loopback(TOKEN, tls=certified("token endpoint")) as tokens,
        Loopback(FOUND, tls=certified("back-end")) as server,
    ):
        container = configured(
            RECOMMENDATIONS_URL=server.url,
            RECOMMENDATIONS_TOKEN_URL=tokens.url,
            RECOMMENDATIONS_CLIENT_SECRET="secret",
            RECOMMENDATIONS_CA_PATH=ours.file,
        )
        with pytest.raises(UnavailableError, match="Recommendations gives no usable answer"):
            recommended(container)
    assert server.asked == []


def test_the_ca_of_the_composer_does_not_apply_to_its_token_endpoint(configured, ours):
    with Loopback(TOKEN, tls=ours.server) as tokens, Loopback(tls=ours.server) as server:
        container = configured(COMPOSER_URL=server.url, COMPOSER_TOKEN_URL=tokens.url, COMPOSER_CA_PATH=ours.file)
        with pytest.raises(UnavailableError):
            container.back_ends().composer.check()
    assert tokens.asked == []


def test_failed_look_ups_do_not_keep_builds_from_the_composer(configured):
    back_ends = configured(COMPOSER_URL=refused_url()).back_ends()
    for _ in range(20):
        with pytest.raises(UnavailableError):
            back_ends.composer_lookups.search_packages("centos-9", "x86_64", [], "vim")
    builds, look_ups = back_ends.used[:2]
    assert builds.breaker.allows_call()
    assert not look_ups.breaker.allows_call()


def test_builds_and_look_ups_call_the_composer_with_the_same_token(configured):
    with Loopback(TOKEN) as tokens, Loopback(answer(200, {"name": "n"})) as server:
        back_ends = configured(
            COMPOSER_URL=server.url, COMPOSER_TOKEN_URL=tokens.url, COMPOSER_CLIENT_SECRET="secret"
        ).back_ends()
        back_ends.composer.check()
        back_ends.composer_lookups.distribution("centos-9", (), ())
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer t"] * 2
    assert len(tokens.asked) == 1


def test_look_ups_trust_only_the_ca_of_the_composer(configured, ours, another):
    with Loopback(answer(200, {"name": "n"}), tls=another.server) as server:
        back_ends = configured(COMPOSER_URL=server.url, COMPOSER_CA_PATH=ours.file).back_ends()
        with pytest.raises(UnavailableError):
            back_ends.composer_lookups.distribution("centos-9", (), ())
    assert server.asked == []


def test_the_representation_of_the_settings_contains_no_secret(configured):
    settings = configured(
        COMPOSER_CLIENT_SECRET="secret-1",
        RECOMMENDATIONS_URL="https://recommendations.example.com",
        RECOMMENDATIONS_CLIENT_SECRET="secret-2",
        RECOMMENDATIONS_PROXY="http://us:secret-3@proxy.example.com",
        UNLEASH_URL="https://unleash.example.com/api",
        UNLEASH_TOKEN="secret-4",
        SPLUNK_HEC_TOKEN="secret-5",
    ).settings()
    assert settings.recommendations.proxy.endswith("@proxy.example.com")
    assert settings.feature_flags.token == "secret-4"
    assert "secret" not in repr(settings).replace("client_secret", "")
