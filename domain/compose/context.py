"""All that a build is decided by, in one value."""

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
    """A checked request, what back-ends are asked for it, and their answers once they are known (`with_answers`).

    `customizations` is the result of `translate_customizations`: the composer's customizations as far as they follow
    from the request alone, None where the request has none. `plain_passwords` are the passwords that have to be hashed,
    by the index of the user. `entitled` are the distributions that the caller is entitled to; it is filled for images
    from snapshots only, because nothing else reads it. `blueprint_id` is the blueprint that the build is of, if any.
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
        """The same context with the back-ends' answers."""
        return replace(self, answers=answers)
