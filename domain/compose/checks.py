"""Checks of a compose request that need no lookups in back-ends."""

from __future__ import annotations

from domain.compose import aap, sizes, subscription, targets
from domain.compose.request import ComposeRequest
from domain.compose.source import ImageSource, check_source


def check_request(request: ComposeRequest, source: ImageSource) -> None:
    """Raise InvalidRequestError for a size, an upload target, a content template, a container or a registration that
    cannot be built.

    The first fault is reported: of the sizes, then of the upload target, then of what the image is built from.
    """
    sizes.check_sizes(request)
    targets.translate_image_type(request.image)
    targets.check_upload_options(request.image)
    subscription.check_content_template(request, source)
    check_source(source, request.image.image_type)
    aap.check_registration(request)
