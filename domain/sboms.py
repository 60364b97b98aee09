"""Software bills of materials of an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sbom:
    """The bill of one of the pipelines that an image is made by.

    `purpose` is `image` for what is in the image, `buildroot` for what it was built with. `document` is JSON of this
    media type.
    """

    pipeline: str
    purpose: str
    media_type: str
    document: str
