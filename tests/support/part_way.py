"""A composer that treats each image of a blueprint differently."""

from __future__ import annotations

import json
from uuid import uuid4

from tests.support.loopback import Loopback, Step, Visit, answer


class PartWayComposer(Loopback):
    """Accepts every build, except image types with another step; `accepted` are the ids of builds by image type."""

    def __init__(self, **instead: Step) -> None:
        super().__init__(self._answer)
        self.instead = {image_type.replace("_", "-"): step for image_type, step in instead.items()}
        self.accepted: dict[str, str] = {}

    def _answer(self, visit: Visit) -> bool:
        if visit.asked.method != "POST":
            return answer()(visit)
        image_type = json.loads(visit.asked.body)["image_request"]["image_type"]
        if image_type in self.instead:
            return self.instead[image_type](visit)
        self.accepted[image_type] = str(uuid4())
        return answer(201, {"id": self.accepted[image_type], "kind": "ComposeId", "href": "/compose"})(visit)


def refusal_of(error_id: str, reason: str, status: int = 400) -> Step:
    """A refusal in the composer's format."""
    return answer(
        status, {"id": error_id, "code": f"IMAGE-BUILDER-COMPOSER-{error_id}", "reason": reason, "kind": "Error"}
    )
