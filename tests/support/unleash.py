"""A small fake of Unleash: the part from which clients read their flags."""

from __future__ import annotations

from tests.support.loopback import Loopback, Step, Visit, answer

TOKEN = "default:production.0123456789"
COMPLIANCE = "image-builder.compliance-policies.enabled"


class Unleash(Loopback):
    """Has `flags`, and performs the step `instead` of an answer if set."""

    def __init__(self, *, instead: Step | None = None, **flags: bool) -> None:
        super().__init__(self._answer)
        self.instead = instead
        self.flags = {COMPLIANCE if name == "compliance" else name: on for name, on in flags.items()}

    @property
    def api_url(self) -> str:
        """The value of UNLEASH_URL."""
        return f"{self.url}/api"

    def _answer(self, visit: Visit) -> bool:
        if self.instead is not None:
            return self.instead(visit)
        if visit.asked.headers.get("authorization") != TOKEN:
            return answer(401, {"message": "no such token"})(visit)
        if visit.asked.path != "/api/client/features?project=default":
            return answer(404)(visit)
        return answer(200, self.document())(visit)

    def document(self) -> dict[str, object]:
        """All flags in the format for clients."""
        return {
            "version": 2,
            "features": [
                {"name": name, "project": "default", "enabled": on, "strategies": [{"name": "default"}]}
                for name, on in self.flags.items()
            ],
        }
