"""The client of the composer, API v2 of osbuild-composer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from marshmallow import Schema, ValidationError

from adapters.http import composer_answers, composer_artifacts
from adapters.http.client import MAX_IDLE, Answer, BackEnd, NoAnswerError, QueryParameters, Timeouts, path_segment
from domain.composer_errors import Fault
from domain.errors import NotFoundError, OutcomeUnknownError, UnavailableError
from domain.failures import FailureCode, explain
from domain.packages import Package
from domain.sboms import Sbom
from domain.status import BuildError, ComposeStatus, limit_error
from domain.submission import Accepted, Refused, Submission, Unanswered
from ports.composer import Builds, ComposerLogs
from ports.resolver import Resolution

_BASE: Final = "/api/image-builder-composer/v2"
# For the calls that the composer answers from memory.
_SHORT_TIMEOUTS: Final = Timeouts(connect=3.0, read=10.0, total=15.0)
# For submissions and searches.
_LONG_TIMEOUTS: Final = Timeouts(connect=3.0, read=25.0, total=30.0)
MAX_RESOLUTION_SECONDS: Final = 20.0
# The statuses of a composer without the operation.
_NOT_OFFERED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_PACKAGE_CODES: Final = frozenset({FailureCode.PACKAGES_NOT_FOUND, FailureCode.PACKAGES_CONFLICT})
# The id that the explanation of failures takes for an error that wraps another one (domain.failures).
_WRAPPER_ID: Final = 9
# Characters that a glob cannot match literally, because not every composer supports an escape for them: its special
# characters, and surrogates, which UTF-8 cannot encode.
_NOT_LITERAL: Final = re.compile(r"[*?\[\]\\\ud800-\udfff]")

# Bytes of a status, which may contain an error with all its details.
_MAX_STATUS_BYTES: Final = 4 * 1024 * 1024
# The status of a running build has some 200 bytes. So many of at most this size are remembered with their bytes.
_MAX_REMEMBERED_STATUS: Final = 512
_REMEMBERED_STATUSES: Final = 256
# Bytes of the metadata, which contain the request and the packages of the image.
_MAX_METADATA_BYTES: Final = 16 * 1024 * 1024
_UNUSABLE_ANSWER: Final = "The composer gives no usable answer"


class HttpComposer:
    """Implements ports.composer.Composer; implements ports.resolver.PackageResolver."""

    def __init__(
        self, back_end: BackEnd, max_idle: float = MAX_IDLE, resolution_seconds: float = MAX_RESOLUTION_SECONDS
    ) -> None:
        """`max_idle` is the number of seconds after which an idle connection is not used to submit a build.

        `resolution_seconds` limits a resolution of packages; it is at most MAX_RESOLUTION_SECONDS.
        """
        self._back_end = back_end
        self._max_idle = max_idle
        # A resolution is never repeated: it costs the composer much.
        self._resolution_timeouts = Timeouts(connect=3.0, read=resolution_seconds, total=resolution_seconds)

    def submit(self, request: Mapping[str, Any]) -> Submission:
        """Implements `Composer.submit`."""
        try:
            answer = self._back_end.post_once(f"{_BASE}/compose", request, _LONG_TIMEOUTS, max_idle=self._max_idle)
        except NoAnswerError as error:
            return Unanswered(may_have_started=error.sent)
        if answer.status != HTTPStatus.CREATED:
            return _load_refusal(answer)
        try:
            build = composer_answers.load_build_id(answer.json())
        except UnavailableError:
            build = None
        return Unanswered(may_have_started=True) if build is None else Accepted(build)

    def cancel(self, compose_id: UUID) -> None:
        """Implements `Composer.cancel`."""
        try:
            answer = self._back_end.delete(f"{_BASE}/composes/{compose_id}", _SHORT_TIMEOUTS)
        except NoAnswerError as error:
            raise (OutcomeUnknownError(_UNUSABLE_ANSWER) if error.sent else _unusable_answer_error()) from error
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}:
            raise OutcomeUnknownError(_UNUSABLE_ANSWER)

    def status(self, compose_id: UUID) -> ComposeStatus:
        """Implements `Composer.status`."""
        answer = self._get(f"/composes/{compose_id}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("Compose not found")
        if len(answer.body) > _MAX_REMEMBERED_STATUS:
            return _load_status(answer)
        return _load_small_status(answer)

    def metadata(self, compose_id: UUID) -> dict[str, Any]:
        """Implements `Composer.metadata`."""
        metadata: dict[str, Any] = self._read(
            f"/composes/{compose_id}/metadata", composer_answers.METADATA, "Compose", max_bytes=_MAX_METADATA_BYTES
        )
        return metadata

    def logs(self, compose_id: UUID) -> ComposerLogs:
        """Implements `Composer.logs`."""
        answer = self._get_artifact(f"/composes/{compose_id}/logs", composer_artifacts.MAX_LOGS_BYTES)
        return ComposerLogs(_load_answer(answer, composer_artifacts.LOGS), len(answer.body))

    def sboms(self, compose_id: UUID) -> tuple[Sbom, ...]:
        """Implements `Composer.sboms`."""
        answer = self._get_artifact(f"/composes/{compose_id}/sboms", composer_artifacts.MAX_SBOMS_BYTES)
        found: tuple[Sbom, ...] = _load_answer(answer, composer_artifacts.SBOMS)
        return found

    def builds(self) -> Builds:
        """Implements `Composer.builds`."""
        answer = self._get("/composes/", max_bytes=composer_answers.MAX_LIST_BYTES)
        if answer.status == HTTPStatus.OK and answer.body.strip() == b"null":
            return Builds(frozenset(), complete=False)
        builds: Builds = _load_answer(answer, composer_answers.LIST)
        return builds

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        """Implements `Composer.request`."""
        metadata = self._read(
            f"/composes/{compose_id}/metadata", composer_answers.BUILD_REQUEST, "Compose", max_bytes=_MAX_METADATA_BYTES
        )
        request: Mapping[str, Any] | None = metadata["request"]
        return request

    def search_packages(
        self, distribution: str, architecture: str, repositories: Sequence[Mapping[str, Any]], text: str
    ) -> tuple[Package, ...]:
        """Implements `Composer.search_packages`."""
        return self.match_packages(distribution, architecture, repositories, [_create_glob(text)])

    def match_packages(
        self, distribution: str, architecture: str, repositories: Sequence[Mapping[str, Any]], patterns: Sequence[str]
    ) -> tuple[Package, ...]:
        """Implements `Composer.match_packages`."""
        body = {
            "distribution": distribution,
            "architecture": architecture,
            "repositories": list(repositories),
            "packages": list(patterns),
        }
        try:
            answer = self._back_end.post_idempotent(
                f"{_BASE}/search/packages", body, _LONG_TIMEOUTS, max_bytes=composer_answers.MAX_LIST_BYTES
            )
        except NoAnswerError as error:
            raise _unusable_answer_error() from error
        return tuple(
            Package(each["name"], each.get("summary", ""))
            for each in _load_answer(answer, composer_answers.SEARCH)["packages"]
        )

    def resolve_packages(self, request: Mapping[str, Any]) -> Resolution:
        """Implements `PackageResolver.resolve_packages`."""
        try:
            answer = self._back_end.post_once(
                f"{_BASE}/depsolve/blueprint", request, self._resolution_timeouts, max_bytes=_MAX_METADATA_BYTES
            )
        except NoAnswerError as error:
            raise UnavailableError("The composer did not answer when it was asked to resolve the packages") from error
        if answer.status in _NOT_OFFERED:
            raise UnavailableError("The composer does not resolve packages", retry_after=None)
        if answer.status == HTTPStatus.OK:
            return Resolution(packages=_load_answer(answer, composer_answers.RESOLUTION)["packages"])
        refused = _load_refusal(answer)
        if refused.reason is None:
            raise _unusable_answer_error()
        found = limit_error(BuildError(_WRAPPER_ID, refused.reason, refused.details))
        # The composer's own errors say nothing about the packages, unless their texts do.
        if refused.fault is not Fault.USER and explain(found).code not in _PACKAGE_CODES:
            raise _unusable_answer_error()
        return Resolution(error=found)

    def distribution(self, name: str, image_types: Sequence[str], architectures: Sequence[str]) -> dict[str, Any]:
        """Implements `Composer.distribution`."""
        params = [("image_type", each) for each in image_types] + [("architecture", each) for each in architectures]
        details: dict[str, Any] = self._read(
            f"/distributions/{path_segment(name)}",
            composer_answers.DISTRIBUTION,
            "Distribution",
            params,
            _MAX_STATUS_BYTES,
        )
        return details

    def check(self) -> None:
        """Implements `Composer.check`."""
        if self._get("/openapi").status != HTTPStatus.OK:
            raise _unusable_answer_error()

    def _get(self, path: str, params: QueryParameters = (), max_bytes: int = _MAX_STATUS_BYTES) -> Answer:
        try:
            return self._back_end.get(_BASE + path, _SHORT_TIMEOUTS, params=params, max_bytes=max_bytes)
        except NoAnswerError as error:
            raise _unusable_answer_error() from error

    def _get_artifact(self, path: str, max_bytes: int) -> Answer:
        answer = self._get(path, max_bytes=max_bytes)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("Compose not found")
        if answer.status == HTTPStatus.BAD_REQUEST:  # the build has not come so far, or is of another kind
            raise NotFoundError("The composer has none of this build")
        return answer

    def _read(
        self, path: str, schema: Schema, resource: str, params: QueryParameters = (), max_bytes: int = _MAX_STATUS_BYTES
    ) -> Any:
        answer = self._get(path, params, max_bytes)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError(f"{resource} not found")
        return _load_answer(answer, schema)


def _load_answer(answer: Answer, schema: Schema) -> Any:
    if answer.status != HTTPStatus.OK:
        raise _unusable_answer_error()
    try:
        return schema.load(answer.json())
    except ValidationError as error:
        raise _unusable_answer_error() from error


def _load_status(answer: Answer) -> ComposeStatus:
    status: ComposeStatus = _load_answer(answer, composer_answers.COMPOSE_STATUS)
    return status


# The composer is asked about a running build again and again, and mostly gives the same answer. To load it would take a
# fifth of the time of the call.
_load_small_status: Final = lru_cache(maxsize=_REMEMBERED_STATUSES)(_load_status)


def _create_glob(text: str) -> str:
    """Create a glob that matches every name that contains `text`, from the longest literal part of `text`."""
    literal = max(_NOT_LITERAL.split(text), key=len)
    return f"*{literal}*" if literal else "*"


def _load_refusal(answer: Answer) -> Refused:
    try:
        error = composer_answers.ERROR.load(answer.json())
    except (ValidationError, UnavailableError):
        return Refused(answer.status)
    return Refused(answer.status, error["id"], error["reason"], error["details"])


def _unusable_answer_error() -> UnavailableError:
    return UnavailableError(_UNUSABLE_ANSWER)
