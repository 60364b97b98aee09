"""Answers that all stand-ins give in the same form: JSON documents and access tokens."""

from __future__ import annotations

from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import Response

from adapters.embedded.stand_in.steering import AccessTokens


def answer(content: object, status: int = 200) -> Response:
    """An answer with a JSON document."""
    return Response(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


async def token_answer(request: Request, tokens: AccessTokens, expires_in: float) -> Response:
    """The answer of an OAuth2 token endpoint to client credentials (RFC 6749, section 4.4)."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    if form.get("grant_type") != ["client_credentials"]:
        return answer({"error": "unsupported_grant_type"}, 400)
    if not (form.get("client_id") and form.get("client_secret")):
        return answer({"error": "invalid_client"}, 401)
    seconds = int(expires_in) if float(expires_in).is_integer() else expires_in
    return answer({"access_token": tokens.issue(expires_in), "expires_in": seconds, "token_type": "Bearer"})
