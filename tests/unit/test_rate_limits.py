"""The RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10)."""

from datetime import timedelta

import pytest

from image_builder.http.rate_limits import RateLimit, add_rate_limits, format_rate_limits

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("limit", "policy", "state"),
    [
        (RateLimit("builds", 100, 14 * DAY, 57, DAY), '"builds";q=100;w=1209600', '"builds";r=57;t=86400'),
        (RateLimit("builds", 0, DAY, 0, None), '"builds";q=0;w=86400', '"builds";r=0'),
        (RateLimit("builds", 1, timedelta(microseconds=1), 0, timedelta(0)), '"builds";q=1;w=1', '"builds";r=0;t=0'),
        (
            RateLimit("builds", 1, timedelta(seconds=1.2), 0, timedelta(seconds=1, microseconds=1)),
            '"builds";q=1;w=2',
            '"builds";r=0;t=2',
        ),
    ],
)
def test_a_limit_is_reported_in_whole_seconds_rounded_up(limit, policy, state):
    assert format_rate_limits(limit) == {"RateLimit-Policy": policy, "RateLimit": state}


def test_several_limits_are_items_of_one_list():
    builds, requests = RateLimit("builds", 9, DAY, 8, DAY), RateLimit("requests", 7, DAY, 6, None)
    assert format_rate_limits(builds, requests) == {
        "RateLimit-Policy": '"builds";q=9;w=86400, "requests";q=7;w=86400',
        "RateLimit": '"builds";r=8;t=86400, "requests";r=6',
    }


def test_without_limits_there_are_no_headers():
    assert format_rate_limits() == {}


def test_limits_of_requests_follow_limits_that_the_answer_reports_already():
    builds, requests = RateLimit("builds", 9, DAY, 8, DAY), RateLimit("requests", 7, DAY, 6, DAY)
    headers = [(name.lower().encode(), value.encode()) for name, value in format_rate_limits(builds).items()]
    both = add_rate_limits([(b"x-other", b"1"), *headers], (requests,))
    assert dict(both) == {
        b"x-other": b"1",
        b"ratelimit-policy": b'"builds";q=9;w=86400, "requests";q=7;w=86400',
        b"ratelimit": b'"builds";r=8;t=86400, "requests";r=6;t=86400',
    }
    assert len(both) == 3
