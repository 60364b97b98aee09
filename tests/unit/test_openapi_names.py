"""Names that clients generated from today's contract import, and names that generators may not see twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tests.support.openapi import openapi_document

Json = Any
DOCUMENT: Final[dict[str, Json]] = openapi_document()
COMPONENTS: Final[dict[str, Json]] = DOCUMENT["components"]

SCHEMAS: Final = """
AAPRegistration AWSS3UploadRequestOptions AWSS3UploadStatus AWSUploadRequestOptions AWSUploadStatus
ArchitectureInfo ArchitectureItem Architectures AzureUploadRequestOptions AzureUploadStatus
BlueprintExportResponse BlueprintItem BlueprintLint BlueprintLintItem BlueprintMetadata
BlueprintResponse BlueprintsResponse BootMode BootcBody BootcDistributionItem BtrfsSubvolume
BtrfsVolume CACertsCustomization ClientId ComposeMetadata ComposeRequest ComposeResponse
ComposeStatus ComposeStatusError ComposesResponse ComposesResponseItem Container
CreateBlueprintRequest CreateBlueprintResponse CustomRepository Customizations Directory Disk
DistributionDetails DistributionItem DistributionKind DistributionProfileItem
DistributionProfileResponse Distributions DistributionsResponse FDO FIPS File Filesystem
FilesystemTyped FirewallCustomization GCPUploadRequestOptions GCPUploadStatus Group HTTPError
HTTPErrorList Ignition IgnitionEmbedded IgnitionFirstboot ImageRequest ImageStatus ImageTypeInfo
ImageTypes Installer Kernel ListResponseLinks ListResponseMeta Locale LogicalVolume Module
OCIUploadRequestOptions OCIUploadStatus OSTree OpenSCAP OpenSCAPCompliance OpenSCAPProfile Package
PackageMetadata PackagesResponse Partition PartitionType Progress Readiness RecommendPackageRequest
RecommendationsResponse Repository Services SubProgress Subscription Timezone UploadRequest
UploadStatus UploadTypes User Version VolumeGroup minsize
"""
OPERATIONS: Final = """
composeBlueprint composeImage createBlueprint deleteBlueprint deleteCompose exportBlueprint
fixupBlueprint getArchitectures getBlueprint getBlueprintComposes getBlueprints getComposeMetadata
getComposeStatus getComposes getDistribution getDistributions getOpenapiJson getOscapCustomizations
getOscapCustomizationsForPolicy getOscapProfiles getPackages getReadiness getVersion
recommendPackage updateBlueprint
"""
# Go constants take their names from the values of enums, whatever stands between letters and digits.
_SEPARATORS: Final = re.compile(r"[^a-zA-Z0-9]+")


def operations() -> list[Json]:
    return [each for item in DOCUMENT["paths"].values() for name, each in item.items() if name != "parameters"]


def spelled(name: str) -> str:
    """A name as a generator may spell it: generators change case and leave out separators."""
    return _SEPARATORS.sub("", name).lower()


def enums(node: Json) -> Iterator[list[str]]:
    """The names of the constants that generators make of each enum below a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("enum"), list):
            yield node.get("x-enum-varnames", node["enum"])
        for name, value in node.items():
            if name not in {"example", "examples", "enum"}:
                yield from enums(value)
    elif isinstance(node, list):
        for value in node:
            yield from enums(value)


def repeated(names: list[str]) -> list[str]:
    return [name for name, count in Counter(map(spelled, names)).items() if count > 1]


def test_every_schema_that_generated_clients_import_is_there() -> None:
    assert set(SCHEMAS.split()) - COMPONENTS["schemas"].keys() == set()


def test_every_operation_that_generated_clients_call_is_there() -> None:
    assert set(OPERATIONS.split()) - {operation["operationId"] for operation in operations()} == set()


def test_every_operation_has_one_tag() -> None:
    """Generators put an operation into one module for each tag."""
    assert [each["operationId"] for each in operations() if len(each["tags"]) != 1] == []


def test_no_two_components_have_the_same_name() -> None:
    assert repeated([name for kind in COMPONENTS.values() for name in kind]) == []


def test_no_schema_has_the_name_of_an_operations_response() -> None:
    """oapi-codegen makes a type `<operation id>Response`, and openapi-python-client a module of each operation."""
    schemas = [schema.get("x-go-name", name) for name, schema in COMPONENTS["schemas"].items()]
    responses = [f"{operation['operationId']}Response" for operation in operations()]
    assert repeated([*schemas, *COMPONENTS["responses"], *responses]) == []


def test_no_constant_of_a_distribution_is_that_of_another_enum() -> None:
    """oapi-codegen would rename both, and programs of today use `Rhel9`."""
    distributions = COMPONENTS["schemas"]["Distributions"]["enum"]
    others = [name for names in enums(DOCUMENT) if names != distributions for name in names]
    assert {spelled(name) for name in distributions} & {spelled(name) for name in others} == set()
