"""Ask back-ends what a build depends on; questions that do not need each other's answers are asked at the same time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from domain.applicability import PolicyQuestion
from domain.compose.lookups import Answers, Questions, create_follow_up
from domain.content import CUSTOM_ORIGINS, RED_HAT, Policy, Template
from domain.errors import InvalidRequestError, NotFoundError
from domain.identity import Identity
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, run_concurrently, set_up
from ports.compliance import Compliance
from ports.content_sources import ContentSources
from ports.features import FeatureFlags
from ports.provisioning import Provisioning

_FLAG_OFF = "Feature image-builder.compliance-policies.enabled not enabled"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gather:
    """Asks the optional back-ends; each is None where operators did not configure it."""

    content_sources: ContentSources | None
    provisioning: Provisioning | None
    compliance: Compliance | None
    features: FeatureFlags
    threads: FairThreads

    def __call__(self, identity: Identity, questions: Questions) -> Answers:
        """Ask the questions for the caller, and those that follow from the first answers.

        Raises InvalidRequestError for a policy while the feature flag for policies is off, ForbiddenError where a
        back-end refuses the caller, and UnavailableError where a back-end that is needed gives no usable answer or is
        not configured.
        """
        answers = self._ask(identity, questions)
        return self._ask_follow_up(identity, questions, answers)

    def _ask(self, identity: Identity, questions: Questions) -> Answers:
        calls: dict[str, Call] = {}
        if self._asks_content_sources(questions):
            calls.update(self._create_repository_calls(identity, questions))
        if questions.sources:
            provisioning = set_up(self.provisioning, "provisioning")
            for source in questions.sources:
                calls[f"source {source}"] = partial(provisioning.aws_account, identity, source)
        if questions.policy is not None:
            calls.update(self._create_policy_calls(identity, questions.policy))
        results = run_concurrently(self.threads, identity.tenant, list(calls.values()))
        found = dict(zip(calls, results, strict=True))
        tailoring: str | None
        tailoring, no_tailoring = found.get("tailoring", (None, False))
        return Answers(
            red_hat=(*found.get("red hat by url", ()), *found.get("red hat by id", ())),
            customer=(*found.get("customer by url", ()), *found.get("customer by id", ())),
            template=found.get("template"),
            accounts={source: found[f"source {source}"] for source in questions.sources},
            policy=found.get("policy"),
            tailoring=tailoring,
            no_tailoring=no_tailoring,
        )

    def _asks_content_sources(self, questions: Questions) -> bool:
        if self.content_sources is None and not questions.require_content_sources:
            return False
        return questions.concern_content_sources

    def _create_repository_calls(self, identity: Identity, questions: Questions) -> dict[str, Call]:
        content = set_up(self.content_sources, "content sources")
        calls: dict[str, Call] = {}
        if questions.red_hat_urls:
            calls["red hat by url"] = lambda: content.by_url(identity, questions.red_hat_urls, (RED_HAT,))
        if questions.customer_urls:
            calls["customer by url"] = lambda: content.by_url(identity, questions.customer_urls, CUSTOM_ORIGINS)
        if questions.red_hat_ids:
            calls["red hat by id"] = lambda: content.by_uuid(identity, questions.red_hat_ids, (RED_HAT,))
        if questions.customer_ids:
            calls["customer by id"] = lambda: content.by_uuid(identity, questions.customer_ids, CUSTOM_ORIGINS)
        if questions.template is not None:
            template = questions.template
            calls["template"] = lambda: _find_template(content, identity, template)
        return calls

    def _create_policy_calls(self, identity: Identity, question: PolicyQuestion) -> dict[str, Call]:
        if not self.features.compliance_policies():
            raise InvalidRequestError(_FLAG_OFF)
        compliance = set_up(self.compliance, "compliance")
        return {
            "policy": lambda: _find_policy(compliance, identity, question),
            "tailoring": lambda: _find_tailoring(compliance, identity, question),
        }

    def _ask_follow_up(self, identity: Identity, questions: Questions, answers: Answers) -> Answers:
        follow_up = create_follow_up(questions, answers)
        if follow_up.snapshots_of:
            content = set_up(self.content_sources, "content sources")
            return replace(answers, snapshots=content.snapshots(identity, follow_up.date, follow_up.snapshots_of))
        if follow_up.template_repositories:
            content, ids = set_up(self.content_sources, "content sources"), follow_up.template_repositories
            red_hat, customer = run_concurrently(
                self.threads,
                identity.tenant,
                [
                    lambda: content.by_uuid(identity, ids, (RED_HAT,)),
                    lambda: content.by_uuid(identity, ids, CUSTOM_ORIGINS),
                ],
            )
            return replace(answers, red_hat=(*answers.red_hat, *red_hat), customer=(*answers.customer, *customer))
        return answers


def _find_template(content: ContentSources, identity: Identity, uuid: str) -> Template | None:
    try:
        return content.template(identity, uuid)
    except NotFoundError:
        return None


def _find_policy(compliance: Compliance, identity: Identity, question: PolicyQuestion) -> Policy | None:
    try:
        return compliance.policy(identity, question.id)
    except NotFoundError:
        return None


def _find_tailoring(compliance: Compliance, identity: Identity, question: PolicyQuestion) -> tuple[str | None, bool]:
    """The tailoring, None where the policy asks for nothing, and whether the policy lacks one for the minor version."""
    try:
        return compliance.tailoring(identity, question.id, question.minor), False
    except NotFoundError:
        return None, True
