"""Every operation of the contract, for tests of properties that all operations have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.sample_data import POLICY_RHEL9
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request
from tests.support.openapi import openapi_document
from tests.support.service import Client

Call = Callable[[Client], requests.Response]


def operations() -> dict[str, Mapping[str, Any]]:
    """The operations of openapi.yaml by their ids."""
    return {
        operation["operationId"]: operation
        for item in openapi_document()["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }


def operation_ids() -> set[str]:
    """The ids of the operations of openapi.yaml."""
    return set(operations())


def cancellation(composer: StandInComposer) -> Call:
    """A call of cancelCompose that succeeds, for a new build; afterwards builds have ended at once."""

    def call(client: Client) -> requests.Response:
        composer.steer(image_status={"status": "building"})
        answer = client.post(f"/composes/{client.compose(compose_request())}/cancel")
        composer.steer(image_status={"status": "success"})
        return answer

    return call


def of_the_database(compose_id: str | UUID, blueprint_id: str | UUID, name: str) -> dict[str, Call]:
    """Calls of all operations that need the database, in an order in which they succeed; `name` is for a blueprint."""
    compose, kept = f"/composes/{compose_id}", f"/blueprints/{blueprint_id}"
    return {
        "getReadiness": lambda client: client.get("/ready"),
        "getQuota": lambda client: client.get("/quota"),
        "composeImage": lambda client: client.post("/compose", compose_request()),
        "checkCompose": lambda client: client.post("/compose/check", compose_request()),
        "getComposes": lambda client: client.get("/composes"),
        "getComposeStatus": lambda client: client.get(compose),
        "getComposeMetadata": lambda client: client.get(f"{compose}/metadata"),
        "getComposeLogs": lambda client: client.get(f"{compose}/logs", headers={"Accept": "application/json"}),
        "getComposeSboms": lambda client: client.get(f"{compose}/sboms"),
        "updateComposeLabels": lambda client: client.request(
            "PUT", f"{compose}/labels", json={"labels": {"team": "web"}}
        ),
        "cancelCompose": lambda client: client.post(f"{compose}/cancel"),
        "rerunCompose": lambda client: client.post(f"{compose}/rerun"),
        "deleteCompose": lambda client: client.delete(compose),
        "getBlueprints": lambda client: client.get("/blueprints"),
        "createBlueprint": lambda client: client.post("/blueprints", blueprint(name)),
        "getBlueprint": lambda client: client.get(kept),
        "exportBlueprint": lambda client: client.get(f"{kept}/export"),
        "updateBlueprint": lambda client: client.request("PUT", kept, json=blueprint(f"{name}, changed")),
        "checkBlueprint": lambda client: client.post(f"{kept}/check"),
        "composeBlueprint": lambda client: client.post(f"{kept}/compose"),
        "getBlueprintComposes": lambda client: client.get(f"{kept}/composes"),
        "fixupBlueprint": lambda client: client.post(f"/experimental{kept}/fixup"),
        "deleteBlueprint": lambda client: client.delete(kept),
    }


OTHERS: dict[str, Call] = {
    "getVersion": lambda client: client.get("/version"),
    "getOpenapiJson": lambda client: client.get("/openapi.json"),
    "getDistributions": lambda client: client.get("/distributions"),
    "getDistribution": lambda client: client.get("/distributions/centos-9"),
    "getFeatures": lambda client: client.get("/features"),
    "getArchitectures": lambda client: client.get("/architectures/centos-9"),
    "getPackages": lambda client: client.get("/packages?distribution=centos-9&architecture=x86_64&search=vim"),
    "recommendPackage": lambda client: client.post(
        "/experimental/recommendations", {"packages": ["vim"], "recommendedPackages": 1, "distribution": "rhel9"}
    ),
    "getOscapProfiles": lambda client: client.get("/oscap/rhel-9/profiles"),
    "getOscapCustomizations": lambda client: client.get(
        "/oscap/rhel-9/xccdf_org.ssgproject.content_profile_cis/customizations"
    ),
    "getOscapCustomizationsForPolicy": lambda client: client.get(
        f"/oscap/{POLICY_RHEL9}/rhel-9.6/policy_customizations"
    ),
}
