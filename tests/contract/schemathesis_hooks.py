"""Bodies supplied by hand: no compose request made from the schema alone gets as far as a build.

Without a build there is nothing for the links to lead to, and the stateful phase would be green having tried none.
"""

from __future__ import annotations

from typing import Any

import schemathesis

from tests.support.builders import compose_request

BODIES = [
    compose_request(),
    compose_request("aws", "aws"),
    compose_request("gcp", "gcp"),
    compose_request("azure", "azure"),
    compose_request("oci", "oci.objectstorage"),
    compose_request("edge-commit", customizations={"users": [{"name": "u", "password": "p"}]}),
]


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    """Let a compose request be one of these."""
    body = document["paths"]["/compose"]["post"]["requestBody"]["content"]["application/json"]
    body["schema"] = {"type": "object", "enum": BODIES}
    body.pop("examples")
