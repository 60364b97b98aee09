"""A client of the stand-in composer, and its requests."""

from __future__ import annotations

from typing import Any

import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.waiting import PATIENCE

Json = dict[str, Any]
CREDENTIALS = {"grant_type": "client_credentials", "client_id": "us", "client_secret": "secret"}


def a_request(image_type: str = "guest-image", options: Json | None = None, **more: Any) -> Json:
    image = {"architecture": "x86_64", "image_type": image_type, "repositories": []}
    return {
        "distribution": "rhel-9.6",
        "image_request": {
            **image,
            "upload_options": options or {"region": "us-east-1"},
            **more.pop("image", {}),
        },
        **more,
    }


def with_packages(*names: str) -> Json:
    return a_request(customizations={"packages": list(names)})


class Client:
    """A client of the stand-in composer over a socket."""

    def __init__(self, composer: StandInComposer) -> None:
        self.composer = composer
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.composer.api_url + path, **{"timeout": PATIENCE, **options})

    def post(self, body: Json | None = None) -> requests.Response:
        return self("POST", "/compose", json=body or a_request())

    def queued(self, body: Json | None = None) -> str:
        answer = self.post(body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def image_status(self, compose_id: str) -> Json:
        status: Json = self("GET", f"/composes/{compose_id}").json()["image_status"]
        return status

    def metadata(self, compose_id: str) -> Json:
        metadata: Json = self("GET", f"/composes/{compose_id}/metadata").json()
        return metadata

    def token(self, **form: str) -> requests.Response:
        return self.session.post(self.composer.token_url, data={**CREDENTIALS, **form}, timeout=PATIENCE)
