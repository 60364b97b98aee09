"""Bodies supplied by hand: no document made from the schema alone gets as far as a build, or a blueprint of one.

Without a build there is nothing for the links to lead to, and the stateful phase would be green having tried none.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import schemathesis

from tests.support.blueprints import blueprint
from tests.support.builders import compose_request, image_request

BODIES = [
    compose_request(),
    compose_request("aws", "aws"),
    compose_request("gcp", "gcp"),
    compose_request("azure", "azure"),
    compose_request("oci", "oci.objectstorage"),
    compose_request("edge-commit", customizations={"users": [{"name": "u", "password": "p"}]}),
]


# No two blueprints have the same name.
BLUEPRINT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "distribution", "image_requests", "customizations"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]{24}$"},
        "distribution": {"enum": ["centos-9"]},
        "image_requests": {"enum": [blueprint()["image_requests"], [image_request(), image_request("gcp", "gcp")]]},
        "customizations": {"enum": [{}, {"users": [{"name": "u", "password": "p"}]}]},
    },
}


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    """Let a compose request be one of these, and a blueprint like that, whatever version it is."""
    paths = document["paths"]
    body = paths["/compose"]["post"]["requestBody"]["content"]["application/json"]
    body["schema"] = {"type": "object", "enum": BODIES}
    body.pop("examples")
    for operation in (paths["/blueprints"]["post"], paths["/blueprints/{id}"]["put"]):
        operation["requestBody"]["content"] = {"application/json": {"schema": deepcopy(BLUEPRINT)}}
    for operation in (paths["/blueprints/{id}"]["put"], paths["/blueprints/{id}"]["delete"]):
        operation.pop("parameters")
    # The same key a second time makes nothing, and what it made the first time may be gone by then.
    for path in ("/compose", "/blueprints", "/blueprints/{id}/compose"):
        parameters = paths[path]["post"]["parameters"]
        parameters.remove({"$ref": "#/components/parameters/IdempotencyKey"})
    # A list of what has some random name leads nowhere.
    listing = paths["/blueprints"]["get"]
    listing["parameters"] = [each for each in listing["parameters"] if each.get("name") == "limit"]
    # Which images to build is the blueprint's business: others than it has would be no build.
    del paths["/blueprints/{id}/compose"]["post"]["requestBody"]
