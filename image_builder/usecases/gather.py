"""Look up in back-ends what a build depends on: independent queries run in parallel, dependent ones follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from domain.applicability import PolicyQuestion
from domain.compose.lookups import Answers, Questions, Subject, create_follow_up
from domain.content import CUSTOM_ORIGINS, RED_HAT, Policy, Template
from domain.errors import ImageBuilderError, InvalidRequestError, NotFoundError
from domain.identity import Identity
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, require_configured, run_concurrently
from ports.compliance import Compliance
from ports.content_sources import ContentSources
from ports.features import FeatureFlags
from ports.provisioning import Provisioning

_FLAG_OFF = "Feature image-builder.compliance-policies.enabled not enabled"


class Failure(NamedTuple):
    """A lookup without an answer: what it is about, and the error."""

    subject: Subject
    error: ImageBuilderError


class Gathered(NamedTuple):
    """The results of lookups, and the lookups that failed, whose results are missing."""

    answers: Answers
    failures: tuple[Failure, ...] = ()


class _Tailoring(NamedTuple):
    """A policy's tailoring as JSON text, None if it is empty; `missing`: the policy has none for the minor version."""

    text: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class GatherAnswers:
    """Runs the lookups of a build in the optional back-ends.

    A back-end is None if operators did not configure it. `threads` is a pool that is shared fairly between tenants.
    """

    content_sources: ContentSources | None
    provisioning: Provisioning | None
    compliance: Compliance | None
    features: FeatureFlags
    threads: FairThreads

    def __call__(self, identity: Identity, questions: Questions) -> Answers:
        """Run the lookups with the caller's identity, then those that follow from the results, and return all results.

        The result is None for a template or policy that the back-end does not know; the domain reports it as an error.
        Lookups that only improve the build are skipped if content sources is not configured.

        Raises InvalidRequestError for a policy while the feature flag for policies is off, ForbiddenError if a back-end
        refuses the caller, and UnavailableError if a required back-end gives no usable answer or is not configured.
        """
        calls, failures = self._create_calls(identity, questions)
        for failure in failures:
            raise failure.error
        answers, failures = self._run_lookups(identity, questions, calls)
        for failure in failures:
            raise failure.error
        return self._run_follow_up(identity, questions, answers)

    def collect(self, identity: Identity, questions: Questions) -> Gathered:
        """Run the same lookups, and return the errors of back-ends, of which there may be several."""
        calls, failures = self._create_calls(identity, questions)
        answers, failed = self._run_lookups(identity, questions, calls)
        failures += failed
        if all(failure.subject is not Subject.REPOSITORIES for failure in failures):
            try:
                answers = self._run_follow_up(identity, questions, answers)
            except ImageBuilderError as error:
                failures.append(Failure(Subject.REPOSITORIES, error))
        return Gathered(answers, tuple(failures))

    def _create_calls(
        self, identity: Identity, questions: Questions
    ) -> tuple[dict[str, tuple[Subject, Call]], list[Failure]]:
        """Return the first lookups by name, and the reasons why others cannot be made."""
        calls: dict[str, tuple[Subject, Call]] = {}
        failures: list[Failure] = []
        for subject, create in (
            (Subject.REPOSITORIES, self._create_repository_calls),
            (Subject.ACCOUNTS, self._create_account_calls),
            (Subject.POLICY, self._create_policy_calls),
        ):
            try:
                created = create(identity, questions)
            except ImageBuilderError as error:
                failures.append(Failure(subject, error))
            else:
                calls.update({name: (subject, call) for name, call in created.items()})
        return calls, failures

    def _run_lookups(
        self, identity: Identity, questions: Questions, calls: Mapping[str, tuple[Subject, Call]]
    ) -> tuple[Answers, list[Failure]]:
        results = run_concurrently(
            self.threads, identity.tenant, [partial(_return_errors, call) for _, call in calls.values()]
        )
        outcomes = list(zip(calls, results, strict=True))
        failures = [Failure(calls[name][0], each) for name, each in outcomes if isinstance(each, ImageBuilderError)]
        by_name: dict[str, Any] = {name: each for name, each in outcomes if not isinstance(each, ImageBuilderError)}
        tailoring: _Tailoring = by_name.get("tailoring", _Tailoring())
        answers = Answers(
            red_hat=(*by_name.get("red hat by url", ()), *by_name.get("red hat by id", ())),
            customer=(*by_name.get("customer by url", ()), *by_name.get("customer by id", ())),
            template=by_name.get("template"),
            accounts={
                source: by_name[f"source {source}"] for source in questions.sources if f"source {source}" in by_name
            },
            policy=by_name.get("policy"),
            tailoring=tailoring.text,
            tailoring_missing=tailoring.missing,
        )
        return answers, failures

    def _should_query_content_sources(self, questions: Questions) -> bool:
        # A build that does not need content sources uses the repositories as they are described.
        if self.content_sources is None and not questions.needs_content_sources:
            return False
        return questions.has_content_sources_questions

    def _create_repository_calls(self, identity: Identity, questions: Questions) -> dict[str, Call]:
        if not self._should_query_content_sources(questions):
            return {}
        content_sources = require_configured(self.content_sources, "content sources")
        calls: dict[str, Call] = {}
        if questions.red_hat_urls:
            calls["red hat by url"] = lambda: content_sources.by_url(identity, questions.red_hat_urls, (RED_HAT,))
        if questions.customer_urls:
            calls["customer by url"] = lambda: content_sources.by_url(identity, questions.customer_urls, CUSTOM_ORIGINS)
        if questions.red_hat_ids:
            calls["red hat by id"] = lambda: content_sources.by_uuid(identity, questions.red_hat_ids, (RED_HAT,))
        if questions.customer_ids:
            calls["customer by id"] = lambda: content_sources.by_uuid(identity, questions.customer_ids, CUSTOM_ORIGINS)
        if questions.template is not None:
            template = questions.template
            calls["template"] = lambda: _find_template(content_sources, identity, template)
        return calls

    def _create_account_calls(self, identity: Identity, questions: Questions) -> dict[str, Call]:
        if not questions.sources:
            return {}
        provisioning = require_configured(self.provisioning, "provisioning")
        return {f"source {each}": partial(provisioning.aws_account, identity, each) for each in questions.sources}

    def _create_policy_calls(self, identity: Identity, questions: Questions) -> dict[str, Call]:
        question = questions.policy
        if question is None:
            return {}
        if not self.features.compliance_policies():
            raise InvalidRequestError(_FLAG_OFF)
        compliance = require_configured(self.compliance, "compliance")
        return {
            "policy": lambda: _find_policy(compliance, identity, question),
            "tailoring": lambda: _find_tailoring(compliance, identity, question),
        }

    def _run_follow_up(self, identity: Identity, questions: Questions, answers: Answers) -> Answers:
        follow_up = create_follow_up(questions, answers)
        # A request has either a snapshot date or a content template.
        if follow_up.snapshot_repository_ids:
            content_sources = require_configured(self.content_sources, "content sources")
            return replace(
                answers,
                snapshots=content_sources.snapshots(identity, follow_up.date, follow_up.snapshot_repository_ids),
            )
        if follow_up.template_repository_ids:
            content_sources = require_configured(self.content_sources, "content sources")
            ids = follow_up.template_repository_ids
            # A template does not say which of its repositories are Red Hat's.
            red_hat, customer = run_concurrently(
                self.threads,
                identity.tenant,
                [
                    lambda: content_sources.by_uuid(identity, ids, (RED_HAT,)),
                    lambda: content_sources.by_uuid(identity, ids, CUSTOM_ORIGINS),
                ],
            )
            return replace(answers, red_hat=(*answers.red_hat, *red_hat), customer=(*answers.customer, *customer))
        return answers


def _return_errors(call: Call) -> Any:
    """Run the call; return its result or the ImageBuilderError that it raises."""
    try:
        return call()
    except ImageBuilderError as error:
        return error


def _find_template(content_sources: ContentSources, identity: Identity, uuid: str) -> Template | None:
    try:
        return content_sources.template(identity, uuid)
    except NotFoundError:
        return None


def _find_policy(compliance: Compliance, identity: Identity, question: PolicyQuestion) -> Policy | None:
    try:
        return compliance.policy(identity, question.id)
    except NotFoundError:
        return None


def _find_tailoring(compliance: Compliance, identity: Identity, question: PolicyQuestion) -> _Tailoring:
    try:
        return _Tailoring(compliance.tailoring(identity, question.id, question.minor))
    except NotFoundError:
        return _Tailoring(missing=True)
