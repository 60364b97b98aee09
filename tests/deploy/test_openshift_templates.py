"""The templates of deploy/openshift are valid for clusters, and compatible with existing installations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from image_builder.configuration.settings import load_settings
from tests.support.openshift import PROJECT, TEMPLATES, environment, faults, process, referred_to, template, the
from tests.support.variables import secrets_read, variables_read

GIVEN = {
    "image-builder": {
        "ENV_NAME": "env-prod",
        "IMAGE": "registry.example/image-builder",
        "IMAGE_TAG": "abc1234",
        "COMPOSER_URL": "https://composer.example",
        "CONTENT_SOURCES_REPO_URL": "https://content.example",
    },
    "without-clowder": {
        "IMAGE": "registry.example/image-builder",
        "IMAGE_TAG": "abc1234",
        "COMPOSER_URL": "https://composer.example",
    },
    "network-policy": {"GATEWAY_NAMESPACE": "gateway"},
}
# Spec 30, names of environment variables, but for those that Clowder's file stands for.
OF_THE_SPEC = [
    *("LISTEN_ADDRESS", "LOG_LEVEL", "PGSSLMODE", "FEDORA_AUTH", "DISTRIBUTIONS_DIR", "QUOTA_FILE", "ALLOW_FILE"),
    *("COMPOSER_URL", "COMPOSER_TOKEN_URL", "COMPOSER_CLIENT_ID", "COMPOSER_CLIENT_SECRET", "COMPOSER_CA_PATH"),
    *("CONTENT_SOURCES_REPO_URL", "CONTENT_SOURCES_REPO_PREFIX"),
    *("RECOMMENDATIONS_URL", "RECOMMENDATIONS_TOKEN_URL", "RECOMMENDATIONS_CLIENT_ID"),
    *("RECOMMENDATIONS_CLIENT_SECRET", "RECOMMENDATIONS_PROXY", "RECOMMENDATIONS_CA_PATH"),
    *("OSBUILD_AWS_REGION", "OSBUILD_GCP_REGION", "OSBUILD_GCP_BUCKET", "INSIGHTS_CLIENT_PROXY", "PATCH_URL"),
    *("GLITCHTIP_DSN", "PATH_PREFIX", "APP_NAME"),
]
BOTH = ["image-builder", "without-clowder"]


@pytest.fixture
def clowdapp() -> Any:
    return the(process("image-builder", **GIVEN["image-builder"]), "ClowdApp")


@pytest.fixture
def deployment(clowdapp: Any) -> Any:
    (only,) = clowdapp["spec"]["deployments"]
    return only


@pytest.fixture
def pod(deployment: Any) -> Any:
    return deployment["podSpec"]


@pytest.fixture
def plain() -> Any:
    """The pod of the Deployment for clusters without Clowder."""
    return the(process("without-clowder", **GIVEN["without-clowder"]), "Deployment")["spec"]["template"]["spec"]


@pytest.fixture(params=BOTH)
def objects(request: pytest.FixtureRequest) -> Any:
    return process(request.param, **GIVEN[request.param])


@pytest.fixture
def job(objects: Any) -> Any:
    return the(objects, "CronJob")["spec"]


@pytest.fixture
def job_container(job: Any) -> Any:
    (only,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return only


def containers(objects: Any) -> list[Any]:
    """All containers of pods that are not managed by Clowder."""
    pods = []
    for each in objects:
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        if "template" in spec:
            pods.append(spec["template"]["spec"])
    return [each for pod in pods for each in (*pod.get("initContainers", ()), *pod["containers"])]


def named_objects(value: Any) -> set[str]:
    """The secrets and config maps to which the template refers."""
    if isinstance(value, dict):
        below = set().union(*map(named_objects, value.values()), set())
        return below | {value[key]["name"] for key in ("secretKeyRef", "configMap") if key in value}
    return set().union(*map(named_objects, value), set()) if isinstance(value, list) else set()


def test_every_template_is_tested():
    assert {path.stem for path in TEMPLATES.glob("*.yaml")} == GIVEN.keys()


@pytest.mark.parametrize("name", GIVEN)
def test_a_cluster_accepts_every_template(name: str):
    assert faults(template(name)) == []


@pytest.mark.parametrize("name", GIVEN)
def test_a_cluster_accepts_every_object(name: str):
    assert {each["kind"]: faults(each) for each in process(name, **GIVEN[name])} == {
        each["kind"]: [] for each in process(name, **GIVEN[name])
    }


def test_a_field_that_the_kind_does_not_have_is_found(clowdapp: Any):
    clowdapp["spec"]["deployments"][0]["podSpec"]["securityContext"] = {"readOnlyRootFilesystem": True}
    assert len(faults(clowdapp)) == 1


@pytest.mark.parametrize("name", GIVEN)
def test_every_parameter_is_used_and_declared(name: str):
    document = template(name)
    assert referred_to(document["objects"]) == {parameter["name"] for parameter in document["parameters"]}


@pytest.mark.parametrize(("name", "parameter"), [(name, key) for name, given in GIVEN.items() for key in given])
def test_parameters_without_a_sensible_default_are_required(name: str, parameter: str):
    with pytest.raises(ValueError, match=parameter):
        process(name, **{key: value for key, value in GIVEN[name].items() if key != parameter})


@pytest.mark.parametrize("name", GIVEN)
def test_no_placeholder_remains_after_processing(name: str):
    assert "${" not in str(process(name, **GIVEN[name]))


def test_the_commands_have_the_paths_of_existing_installations(pod: Any, job_container: Any):
    (migration,) = pod["initContainers"]
    assert [pod["command"], migration["command"], job_container["command"]] == [
        ["/app/image-builder"],
        ["/app/image-builder-migrate-db-tern"],
        ["/app/image-builder-maintenance"],
    ]


def test_migrations_use_the_same_database_as_the_service(pod: Any):
    (migration,) = pod["initContainers"]
    assert migration["inheritEnv"] is True


def test_the_files_have_the_paths_of_existing_installations(pod: Any):
    found = environment(pod)
    assert [found[name] for name in ("DISTRIBUTIONS_DIR", "QUOTA_FILE", "ALLOW_FILE")] == [
        "/app/distributions",
        "/app/config/quotas.json",
        "/app/config/allow_list.json",
    ]


@pytest.mark.parametrize("where", ["pod", "plain"])
def test_the_config_map_is_mounted_at_its_path(where: str, request: pytest.FixtureRequest):
    spec = request.getfixturevalue(where)
    mounts = (spec if where == "pod" else spec["containers"][0])["volumeMounts"]
    (volume,) = [mount["name"] for mount in mounts if mount["mountPath"] == "/app/config"]
    assert {"name": volume, "configMap": {"name": "image-builder-crc-config-files"}} in spec["volumes"]


@pytest.mark.parametrize("where", ["pod", "plain"])
def test_the_address_and_the_probes_are_those_of_existing_installations(where: str, request: pytest.FixtureRequest):
    spec = request.getfixturevalue(where)
    container = spec if where == "pod" else spec["containers"][0]
    probes = [container[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")]
    assert (environment(container)["LISTEN_ADDRESS"], [(probe["path"], probe["port"]) for probe in probes]) == (
        "0.0.0.0:8000",
        [("/status", 8000), ("/ready", 8000)],
    )


def test_the_service_object_has_its_name_port_and_metrics(objects: Any):
    service = the(objects, "Service", "image-builder")
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8080, 8000)


def test_the_prometheus_annotations_name_a_port_that_pods_have_and_the_network_policy_allows(objects: Any):
    annotations = the(objects, "Service", "image-builder")["metadata"]["annotations"]
    policy = the(process("network-policy", **GIVEN["network-policy"]), "NetworkPolicy", "image-builder")
    (admitted,) = policy["spec"]["ingress"][0]["ports"]
    assert annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(admitted["port"]),
    }


def test_without_clowder_the_service_monitor_finds_the_metrics():
    parts = process("without-clowder", **GIVEN["without-clowder"])
    monitor, service = the(parts, "ServiceMonitor")["spec"], the(parts, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    assert monitor["endpoints"] == [{"port": port["name"], "path": "/metrics"}]


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
def test_selectors_match_the_pods_that_clowder_creates(clowdapp: Any, deployment: Any, kind: str):
    selector = the(process("image-builder", **GIVEN["image-builder"]), kind)["spec"]["selector"]
    labels = {"pod": f"{clowdapp['metadata']['name']}-{deployment['name']}"}
    assert selector.get("matchLabels", selector) == labels


def test_the_dependencies_are_optional(clowdapp: Any):
    assert clowdapp["spec"]["optionalDependencies"] == [
        "provisioning-backend",
        "content-sources-backend",
        "compliance",
    ]
    assert "dependencies" not in clowdapp["spec"]


def test_the_database_is_the_existing_one(clowdapp: Any):
    assert clowdapp["spec"]["database"] == {"name": "image-builder", "version": 12}


@pytest.mark.parametrize(
    ("variable", "secret", "key"),
    [
        ("COMPOSER_CLIENT_ID", "composer-secrets", "client_id"),
        ("COMPOSER_CLIENT_SECRET", "composer-secrets", "client_secret"),
        ("RECOMMENDATIONS_CLIENT_ID", "recommendations-secrets", "client_id"),
        ("RECOMMENDATIONS_CLIENT_SECRET", "recommendations-secrets", "client_secret"),
        ("RECOMMENDATIONS_PROXY", "recommendations-secrets", "proxy"),
        ("RATE_LIMIT_STORAGE_URL", "image-builder-rate-limits", "url"),
        ("GLITCHTIP_DSN", "image-builder-glitchtip", "dsn"),
    ],
)
def test_credentials_come_from_their_secrets(pod: Any, variable: str, secret: str, key: str):
    reference = environment(pod)[variable]["secretKeyRef"]
    assert (reference["name"], reference["key"]) == (secret, key)


@pytest.mark.parametrize("name", BOTH)
def test_the_readme_names_all_required_objects(name: str):
    text = (TEMPLATES / "README.md").read_text(encoding="utf-8")
    assert [each for each in sorted(named_objects(process(name, **GIVEN[name]))) if f"`{each}`" not in text] == []


def test_maintenance_runs_on_tuesdays_at_midnight_and_never_concurrently(job: Any):
    assert (job["schedule"], job["concurrencyPolicy"]) == ("0 0 * * 2", "Forbid")


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("PGHOST", "db.host"),
        ("PGPORT", "db.port"),
        ("PGDATABASE", "db.name"),
        ("PGUSER", "db.user"),
        ("PGPASSWORD", "db.password"),
    ],
)
def test_maintenance_reads_the_database_from_its_secret(job_container: Any, variable: str, key: str):
    assert environment(job_container)[variable]["secretKeyRef"] == {"name": "image-builder-db", "key": key}


def test_maintenance_changes_nothing_unless_told_to(job_container: Any):
    found = environment(job_container)
    assert (found["ENABLE_DB_MAINTENANCE"], found["DRY_RUN"]) == ("false", "true")


def test_maintenance_is_not_ended_before_its_own_limit_of_two_hours(job: Any):
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 2 * 60 * 60


def test_there_are_three_pods_of_which_one_at_a_time_may_be_evicted(deployment: Any, objects: Any):
    assert deployment["replicas"] == 3
    assert the(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_pod_has_the_resources_of_existing_installations(pod: Any):
    assert pod["resources"] == {
        "requests": {"cpu": "200m", "memory": "256Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }


@pytest.mark.parametrize("where", ["pod", "plain"])
def test_the_termination_grace_period_exceeds_the_shutdown_of_the_service(where: str, request: pytest.FixtureRequest):
    spec = request.getfixturevalue(where)
    told = environment(spec if where == "pod" else spec["containers"][0])
    grace, timeout, deadline = (int(told[name]) for name in ("SHUTDOWN_GRACE", "SHUTDOWN_TIMEOUT", "COMPOSE_DEADLINE"))
    assert timeout > deadline
    assert spec["terminationGracePeriodSeconds"] >= grace + timeout + 10


def test_without_clowder_pods_are_spread_over_zones_and_nodes(plain: Any):
    assert [each["topologyKey"] for each in plain["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]


def test_every_container_without_clowder_has_no_privileges_and_a_read_only_file_system(objects: Any):
    assert [each["securityContext"] for each in containers(objects)] == [
        {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ] * len(containers(objects))


def test_no_pod_without_clowder_runs_as_root(plain: Any, job: Any):
    pods = [plain, job["jobTemplate"]["spec"]["template"]["spec"]]
    assert [pod["securityContext"]["runAsNonRoot"] for pod in pods] == [True, True]


@pytest.mark.parametrize("name", BOTH)
def test_every_environment_variable_is_a_setting_of_the_service(name: str):
    parts = process(name, **GIVEN[name])
    pods = [each["podSpec"] for part in parts for each in part["spec"].get("deployments", ())]
    set_ones = {variable for part in (*pods, *containers(parts)) for variable in environment(part)}
    assert set_ones - variables_read() == set()


@pytest.mark.parametrize("where", ["pod", "plain"])
def test_the_service_accepts_its_settings(
    where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    spec = request.getfixturevalue(where)
    told = environment(spec if where == "pod" else spec["containers"][0])
    from_secrets = {"PGPORT": "5432", "RECOMMENDATIONS_PROXY": "http://proxy.example", "UNLEASH_TOKEN": ""}
    absent = {"RATE_LIMIT_STORAGE_URL", "GLITCHTIP_DSN"}
    files = {name: str(tmp_path / name) for name in ("QUOTA_FILE", "ALLOW_FILE")}
    for file in files.values():
        Path(file).write_text("{}")
    texts = {name: value if isinstance(value, str) else "from-a-secret" for name, value in told.items()}
    shared = {name: value for name, value in from_secrets.items() if name in told}
    environ = {**texts, **shared, **files, "DISTRIBUTIONS_DIR": str(PROJECT / "distributions")}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {name: value for name, value in environ.items() if name not in absent})
    assert load_settings().composer.client_secret == "from-a-secret"


@pytest.mark.parametrize("name", OF_THE_SPEC)
def test_settings_of_operators_are_parameters(pod: Any, name: str):
    assert name in environment(pod)


def test_secret_settings_come_from_secrets(objects: Any):
    pods = [each["podSpec"] for part in objects for each in part["spec"].get("deployments", ())]
    told = [(name, value) for part in (*pods, *containers(objects)) for name, value in environment(part).items()]
    assert [name for name, value in told if name in secrets_read() and isinstance(value, str)] == []


def test_with_and_without_clowder_the_service_has_the_same_settings(pod: Any, plain: Any):
    from_clowder = {"CONTENT_SOURCES_URL", "PROVISIONING_URL", "COMPLIANCE_URL", "UNLEASH_URL", "UNLEASH_TOKEN"}
    without = environment(plain["containers"][0])
    alike = {name: value for name, value in without.items() if name not in from_clowder and name[:2] != "PG"}
    told = {name: value for name, value in environment(pod).items() if name != "PGSSLMODE"}
    assert alike == {**told, "CONTENT_SOURCES_REPO_URL": ""}


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "CronJob"])
def test_with_and_without_clowder_all_other_objects_are_the_same(kind: str):
    one, other = (the(process(name, **GIVEN[name]), kind) for name in BOTH)
    assert one == other


def test_only_gateway_and_prometheus_can_connect_to_the_pods():
    policy = the(process("network-policy", **GIVEN["network-policy"]), "NetworkPolicy", "image-builder")["spec"]
    (rule,) = policy["ingress"]
    namespaces = [each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in rule["from"]]
    assert (namespaces, rule["ports"]) == (
        ["gateway", "openshift-user-workload-monitoring"],
        [{"protocol": "TCP", "port": 8000}],
    )


def test_no_client_can_connect_to_the_maintenance_pod():
    policy = the(process("network-policy", **GIVEN["network-policy"]), "NetworkPolicy", "image-builder-maintenance")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in policy["spec"]
