"""Checks of a compose request that need no lookups in back-ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from domain.compose import aap, sizes, subscription, targets
from domain.compose.request import ComposeRequest
from domain.compose.source import ImageSource, check_source
from domain.errors import InvalidRequestError

# Each check with the field that it is about, in the order in which faults are reported. A check raises
# InvalidRequestError.
_CHECKS: Final[tuple[tuple[str, Callable[[ComposeRequest, ImageSource], object]], ...]] = (
    ("image_requests[0].size", lambda request, _: sizes.check_sizes(request)),
    ("image_requests[0].image_type", lambda request, _: targets.translate_image_type(request.image)),
    ("image_requests[0].upload_request", lambda request, _: targets.check_upload_options(request.image)),
    ("image_requests[0].content_template", subscription.check_content_template),
    ("bootc", lambda request, source: check_source(source, request.image.image_type)),
    ("customizations.aap_registration", lambda request, _: aap.check_registration(request)),
)


def check_request(request: ComposeRequest, source: ImageSource) -> None:
    """Raise InvalidRequestError for a size, an upload target, a content template, a container or a registration that
    cannot be built.

    The first fault is reported: of the sizes, then of the upload target, then of what the image is built from.
    """
    for _, error in find_faults(request, source):
        raise error


def find_faults(request: ComposeRequest, source: ImageSource) -> Iterator[tuple[str, InvalidRequestError]]:
    """Yield all faults that `check_request` looks for, each with the path of its field."""
    for path, check in _CHECKS:
        try:
            check(request, source)
        except InvalidRequestError as error:
            yield path, error
