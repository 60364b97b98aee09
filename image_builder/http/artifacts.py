"""Logs and bills of materials of builds (openapi.yaml, operations getComposeLogs and getComposeSboms)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from domain.identity import Identity
from image_builder.http.answers import Answer, json_answer, text_answer
from image_builder.http.call import Lane, Route
from image_builder.usecases.artifacts import ShowArtifacts

_TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class ArtifactsController:
    """Operations on what the composer tells of a build; `largest_logs` limits an answer with logs, in bytes."""

    show: ShowArtifacts
    largest_logs: int

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getComposeLogs": Route(self.logs, Lane.WAITING),
            "getComposeSboms": Route(self.sboms, Lane.WAITING, rarely_waits=True),
        }

    def logs(self, identity: Identity, compose_id: UUID, media_type: str) -> Answer:
        """Handle GET /composes/{composeId}/logs."""
        found = self.show.logs(identity, compose_id)
        if media_type == _TEXT:
            answer = text_answer(found.as_text(self.largest_logs))
        else:
            answer = json_answer(found.as_document(self.largest_logs))
        answer.headers["Vary"] = "Accept"
        return answer

    def sboms(self, identity: Identity, compose_id: UUID, purpose: str) -> Answer:
        """Handle GET /composes/{composeId}/sboms."""
        found = self.show.bills(identity, compose_id, purpose)
        data = [
            {
                "pipeline": each.pipeline,
                "purpose": each.purpose,
                "media_type": each.media_type,
                "document": orjson.Fragment(each.document),
            }
            for each in found
        ]
        return json_answer({"data": data})
