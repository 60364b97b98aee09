"""Factories of controllers, and of what stands before them. Each takes the container."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain.errors import ConfigurationError
from image_builder.http.artifacts import ArtifactsController
from image_builder.http.auth import Authenticate, create_authenticator
from image_builder.http.blueprints import BlueprintsController
from image_builder.http.bounds import collect_bounds
from image_builder.http.call import Route
from image_builder.http.checks import ChecksController
from image_builder.http.composes import ComposesController
from image_builder.http.distributions import DistributionsController
from image_builder.http.features import FeaturesController
from image_builder.http.limiter import Limiter
from image_builder.http.long_poll import StatusChanges
from image_builder.http.meta import BuildInfo, MetaController
from image_builder.http.oscap import OscapController
from image_builder.http.packages import PackagesController
from image_builder.http.quota import QuotaController
from image_builder.usecases.artifacts import ShowArtifacts
from image_builder.usecases.build_blueprint import BuildBlueprint
from image_builder.usecases.cancel import CancelBuilds
from image_builder.usecases.composes import ManageComposes
from image_builder.usecases.distributions import DescribeDistribution
from image_builder.usecases.export import ExportBlueprint
from image_builder.usecases.failures import ExplainFailure
from image_builder.usecases.features import OptionalBackEnds, ShowFeatures
from image_builder.usecases.packages import SearchPackages
from image_builder.usecases.quota import ShowQuota
from image_builder.usecases.readiness import Probe
from image_builder.usecases.recommendations import RecommendPackages
from image_builder.usecases.requirements import ShowPolicy
from image_builder.usecases.rerun import RerunBuild

if TYPE_CHECKING:
    from image_builder.composition.container import Container


def create_meta(container: Container) -> MetaController:
    """Version, readiness, and the contract."""
    build_info = container.settings().build_info
    return MetaController(
        contract=container.contract(),
        build=BuildInfo(build_info.commit, build_info.time),
        database=container.database_probe(),
        composer=Probe(container.back_ends().composer.check),
    )


def create_distributions(container: Container) -> DistributionsController:
    """Distributions and architectures."""
    catalogue = container.catalogue()
    return DistributionsController(
        catalogue=catalogue,
        describe_distribution=DescribeDistribution(catalogue, container.back_ends().composer_lookups),
    )


def create_packages(container: Container) -> PackagesController:
    """Package search and recommendations."""
    back_ends = container.back_ends()
    lookups, sources = back_ends.composer_lookups, back_ends.content_sources
    content = container.settings().content
    return PackagesController(
        search_packages=SearchPackages(container.catalogue(), container.package_lists(), lookups, sources, content),
        recommend_packages=RecommendPackages(back_ends.recommendations),
        link_base=_link_base(container),
    )


def create_composes(container: Container) -> ComposesController:
    """Builds."""
    composer = container.back_ends().composer
    return ComposesController(
        idempotent_requests=container.idempotent_requests(),
        start_composes=container.start_composes(),
        build_blueprint=BuildBlueprint(
            blueprints=container.blueprints(),
            validate=container.contract().checker("ComposeRequest").accept,
            start=container.start_composes(),
            check=container.check_composes(),
        ),
        composes=ManageComposes.over(
            container.composes(),
            container.blueprints(),
            composer,
            container.look_at_builds(),
            container.complete_cancellations(),
        ),
        cancel_builds=CancelBuilds(
            composes=container.composes(),
            cancellations=container.cancellations(),
            looks=container.look_at_builds(),
            completion=container.complete_cancellations(),
        ),
        rerun_build=RerunBuild(
            composes=container.composes(),
            blueprints=container.blueprints(),
            validate=container.contract().checker("ComposeRequest").accept,
            start=container.start_composes(),
        ),
        explain_failure=ExplainFailure(container.catalogue(), container.package_lists()),
        check=container.check_composes(),
        link_base=_link_base(container),
    )


def create_checks(container: Container) -> ChecksController:
    """Checks of requests without a build."""
    blueprint_body = container.contract().operations["checkBlueprint"].body
    if blueprint_body is None:
        raise ConfigurationError("openapi.yaml describes no body of checkBlueprint")
    return ChecksController(
        container.check_composes(),
        blueprint_body,
    )


def create_blueprints(container: Container) -> BlueprintsController:
    """Blueprints."""
    return BlueprintsController(
        idempotent_requests=container.idempotent_requests(),
        blueprints=container.manage_blueprints(),
        export_blueprint=ExportBlueprint(
            blueprints=container.blueprints(),
            content_sources=container.back_ends().content_sources,
            clock=_now,
        ),
        link_base=_link_base(container),
    )


def create_artifacts(container: Container) -> ArtifactsController:
    """Logs and bills of materials of builds."""
    return ArtifactsController(
        ShowArtifacts(container.composes(), container.sboms(), container.back_ends().composer),
        container.settings().serving.max_log_bytes,
    )


def create_quota(container: Container) -> QuotaController:
    """The caller's quota."""
    return QuotaController(ShowQuota(container.quotas(), container.starts()))


def create_features(container: Container) -> FeaturesController:
    """What this deployment offers."""
    settings, back_ends = container.settings(), container.back_ends()
    return FeaturesController(
        show_features=ShowFeatures(
            catalogue=container.catalogue(),
            back_ends=OptionalBackEnds(
                content_sources=back_ends.content_sources is not None,
                provisioning=back_ends.provisioning is not None,
                compliance=back_ends.compliance is not None,
                recommendations=back_ends.recommendations is not None,
                feature_flags=bool(settings.feature_flags.url),
            ),
            features=container.feature_flags(),
        ),
        bounds=collect_bounds(container.contract()),
        max_body_bytes=settings.serving.max_body_bytes,
    )


def create_oscap(container: Container) -> OscapController:
    """OpenSCAP profiles and compliance policies."""
    return OscapController(
        profiles=container.profiles(),
        show_policy=ShowPolicy(container.catalogue(), container.policy_requirements()),
    )


def create_routes(container: Container) -> Mapping[str, Route]:
    """The handler of each operation, by its id in openapi.yaml."""
    return {
        **container.meta_controller().routes(),
        **container.distributions_controller().routes(),
        **container.packages_controller().routes(),
        **container.composes_controller().routes(),
        **container.checks_controller().routes(),
        **container.blueprints_controller().routes(),
        **container.artifacts_controller().routes(),
        **container.quota_controller().routes(),
        **container.features_controller().routes(),
        **container.oscap_controller().routes(),
    }


def create_status_changes(container: Container) -> StatusChanges:
    """Changes of statuses, for requests that wait."""
    return StatusChanges(container.statuses().find)


def create_authenticate(container: Container) -> Authenticate:
    """The reader of identity headers."""
    return create_authenticator(fedora_accounts=container.settings().serving.fedora_auth)


def create_limiter(container: Container) -> Limiter:
    """Rate limits of requests."""
    return Limiter(container.rate_limits(), container.authenticate(), container.metrics())


def _link_base(container: Container) -> str:
    """The path that links in answers begin with."""
    return container.settings().serving.base_paths[1]


def _now() -> datetime:
    return datetime.now(UTC)
