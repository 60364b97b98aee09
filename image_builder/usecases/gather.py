"""Find out what a build needs to know: questions that do not need each other are asked at the same time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from domain.compose.lookups import Answers, Questions, follow_up, questions
from domain.compose.request import ComposeRequest
from domain.content import CUSTOM_ORIGINS, RED_HAT, Policy, Template
from domain.distributions import Distribution
from domain.errors import InvalidRequestError, NotFoundError
from domain.identity import Identity
from domain.policies import PolicyQuestion
from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import Call, run_concurrently, set_up
from ports.compliance import Compliance
from ports.content_sources import ContentSources
from ports.features import Features
from ports.provisioning import Provisioning

_FLAG_OFF = "Feature image-builder.compliance-policies.enabled not enabled"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gather:
    """Asks the optional back-ends; each is None where operators did not set it up."""

    content_sources: ContentSources | None
    provisioning: Provisioning | None
    compliance: Compliance | None
    features: Features
    threads: FairThreads

    def __call__(self, identity: Identity, request: ComposeRequest, distribution: Distribution | None) -> Answers:
        """All that `request` needs to be known.

        Raises InvalidRequestError for a question that cannot be asked, ForbiddenError where a back-end refuses the
        caller, and UnavailableError where one gives no usable answer or is not set up.
        """
        asked = questions(request, distribution, content_sources=self.content_sources is not None)
        answers = self._first(identity, asked)
        return self._second(identity, request, answers)

    def _first(self, identity: Identity, asked: Questions) -> Answers:
        calls: dict[str, Call] = {}
        if asked.need_content_sources:
            calls.update(self._repositories(identity, asked))
        if asked.sources:
            provisioning = set_up(self.provisioning, "provisioning")
            for source in asked.sources:
                calls[f"source {source}"] = partial(provisioning.aws_account, identity, source)
        if asked.policy is not None:
            calls.update(self._policy(identity, asked.policy))
        answers = run_concurrently(self.threads, identity.tenant, list(calls.values()))
        found = dict(zip(calls, answers, strict=True))
        tailoring: str | None
        tailoring, no_tailoring = found.get("tailoring", (None, False))
        return Answers(
            red_hat=(*found.get("red hat by url", ()), *found.get("red hat by id", ())),
            own=(*found.get("own by url", ()), *found.get("own by id", ())),
            template=found.get("template"),
            accounts={source: found[f"source {source}"] for source in asked.sources},
            policy=found.get("policy"),
            tailoring=tailoring,
            no_tailoring=no_tailoring,
        )

    def _repositories(self, identity: Identity, asked: Questions) -> dict[str, Call]:
        content = set_up(self.content_sources, "content sources")
        calls: dict[str, Call] = {}
        if asked.red_hat_urls:
            calls["red hat by url"] = lambda: content.by_url(identity, asked.red_hat_urls, (RED_HAT,))
        if asked.own_urls:
            calls["own by url"] = lambda: content.by_url(identity, asked.own_urls, CUSTOM_ORIGINS)
        if asked.red_hat_ids:
            calls["red hat by id"] = lambda: content.by_uuid(identity, asked.red_hat_ids, (RED_HAT,))
        if asked.own_ids:
            calls["own by id"] = lambda: content.by_uuid(identity, asked.own_ids, CUSTOM_ORIGINS)
        if asked.template is not None:
            template = asked.template
            calls["template"] = lambda: _known_template(content, identity, template)
        return calls

    def _policy(self, identity: Identity, asked: PolicyQuestion) -> dict[str, Call]:
        if not self.features.compliance_policies():
            raise InvalidRequestError(_FLAG_OFF)
        compliance = set_up(self.compliance, "compliance")
        return {
            "policy": lambda: _known_policy(compliance, identity, asked),
            "tailoring": lambda: _known_tailoring(compliance, identity, asked),
        }

    def _second(self, identity: Identity, request: ComposeRequest, answers: Answers) -> Answers:
        asked = follow_up(request, answers)
        if asked.snapshots_of:
            content = set_up(self.content_sources, "content sources")
            return replace(answers, snapshots=content.snapshots(identity, asked.date, asked.snapshots_of))
        if asked.template_repositories:
            content, ids = set_up(self.content_sources, "content sources"), asked.template_repositories
            red_hat, own = run_concurrently(
                self.threads,
                identity.tenant,
                [
                    lambda: content.by_uuid(identity, ids, (RED_HAT,)),
                    lambda: content.by_uuid(identity, ids, CUSTOM_ORIGINS),
                ],
            )
            return replace(answers, red_hat=(*answers.red_hat, *red_hat), own=(*answers.own, *own))
        return answers


def _known_template(content: ContentSources, identity: Identity, uuid: str) -> Template | None:
    try:
        return content.template(identity, uuid)
    except NotFoundError:
        return None


def _known_policy(compliance: Compliance, identity: Identity, asked: PolicyQuestion) -> Policy | None:
    try:
        return compliance.policy(identity, asked.id)
    except NotFoundError:
        return None


def _known_tailoring(compliance: Compliance, identity: Identity, asked: PolicyQuestion) -> tuple[str | None, bool]:
    try:
        return compliance.tailoring(identity, asked.id, asked.minor), False
    except NotFoundError:
        return None, True
