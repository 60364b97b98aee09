"""The inputs from which the composer's request for a build is created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from domain.compose.lookups import Answers, Questions
from domain.compose.passwords import SaltedPassword
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.compose.source import ImageSource
from domain.compose.targets import UploadSettings
from domain.distributions import Distribution


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The inputs for one build: a checked request, its lookups, and their results.

    - `customizations` is the result of `translate_customizations`: the composer's customizations as far as they do not
      depend on lookups; None if the request has none.
    - `plain_passwords` are the passwords that have to be hashed, by the index of the user.
    - `entitled` are the distributions that the caller is entitled to, for an image that is built from snapshots;
      otherwise it is empty, because it is not needed.
    - `blueprint_id` is the blueprint that the build was started from, if any.
    - `answers` are empty until `with_answers` adds them.
    """

    request: ComposeRequest
    source: ImageSource
    customizations: Json | None
    questions: Questions
    upload: UploadSettings
    content: ContentSettings = field(default_factory=ContentSettings)
    entitled: tuple[Distribution, ...] = ()
    blueprint_id: UUID | None = None
    plain_passwords: Mapping[int, SaltedPassword] = field(default_factory=dict, repr=False)
    answers: Answers = field(default_factory=Answers)

    def with_answers(self, answers: Answers) -> BuildContext:
        """Return the same context with the results of the lookups."""
        return replace(self, answers=answers)
