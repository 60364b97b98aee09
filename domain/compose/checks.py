"""Checks of a compose request that need no back-end's answer."""

from __future__ import annotations

from domain.compose import aap, sizes, subscription, targets
from domain.compose.request import ComposeRequest
from domain.compose.source import ImageSource, check_source


def check_request(request: ComposeRequest, source: ImageSource) -> None:
    """Raise InvalidRequestError for a size, an upload target, a content template, a container or a registration that
    cannot be built.

    The order of the checks decides which of several faults a caller is told: sizes come first, then the upload target,
    then what the image is made of.
    """
    sizes.check_sizes(request)
    targets.translate_image_type(request.image)
    targets.check_upload_options(request.image)
    subscription.check_template(request, source)
    check_source(source, request.image.image_type)
    aap.check_registration(request)
