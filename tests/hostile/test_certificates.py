"""Telemetry, rate limit and flag servers with wrong certificates get no data, and users notice nothing."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.support.broken_database import fail, rename_a_column
from tests.support.databases import Parameters
from tests.support.hostile_server import HostileServer, Treatment, http, redis_answering
from tests.support.loopback import refused_url
from tests.support.service import Service
from tests.support.unleash import TOKEN
from tests.support.waiting import SOON, until

SECONDS_AGO = timedelta(seconds=10)


@dataclass
class Secured:
    """The running service, and the servers that it talks to over TLS."""

    service: Service
    http_servers: list[HostileServer]
    store: HostileServer
    unleash: HostileServer
    authority: trustme.CA

    def present(self, certificate: trustme.LeafCert) -> list[tuple[HostileServer, Treatment]]:
        """Make all servers present this certificate; returns them with their behaviour towards trusting clients."""
        context = server_context(certificate)
        shown = [(server, http()) for server in self.http_servers]
        shown.append((self.store, redis_answering(b"*4\r\n:1\r\n:5\r\n:2000000\r\n:-1\r\n")))
        for server, treatment in shown:
            server.tls = context
            server.treatment = treatment
        return shown


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def use(service: Service) -> None:
    """Requests that are traced and counted, and one whose error is reported."""
    client = service.client()
    for _ in range(5):
        answered = client.get("/version")
        assert answered.status_code == 200
        assert answered.elapsed.total_seconds() < SOON
    fail(service)


@pytest.fixture(scope="module")
def secured(module_database: Parameters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """At first all servers present certificates of an untrusted authority."""
    authority = trustme.CA()
    file: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    untrusted = server_context(trustme.CA().issue_cert("127.0.0.1"))
    with (
        HostileServer(http(), untrusted) as traces,
        HostileServer(http(), untrusted) as reports,
        HostileServer(http(), untrusted) as store,
        HostileServer(http(), untrusted) as unleash,
    ):
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{traces.port}",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(file),
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "GLITCHTIP_DSN": f"https://key@127.0.0.1:{reports.port}/7",
            "SSL_CERT_FILE": str(file),
            "RATE_LIMIT_STORAGE_URL": f"rediss://127.0.0.1:{store.port}/0?ssl_ca_certs={file}",
            "RATE_LIMIT_STORAGE_TIMEOUT": "2",
            "UNLEASH_URL": f"https://127.0.0.1:{unleash.port}/api",
            "UNLEASH_TOKEN": TOKEN,
        }
        rename_a_column(module_database)
        with Service(module_database, refused_url(), environment=environment) as service:
            yield Secured(service, [traces, reports], store, unleash, authority)


def test_unleash_with_a_certificate_of_an_unknown_authority_gets_no_request(secured: Secured) -> None:
    until(lambda: secured.unleash.accepted, "Unleash is asked")
    use(secured.service)
    assert not secured.unleash.established


@pytest.mark.parametrize("fault", ["of an unknown authority", "expired", "of another host"])
def test_servers_with_an_invalid_certificate_get_no_data(secured: Secured, fault: str) -> None:
    expired = datetime.now(UTC) - SECONDS_AGO
    certificates = {
        "of an unknown authority": trustme.CA().issue_cert("127.0.0.1"),
        "expired": secured.authority.issue_cert("127.0.0.1", not_after=expired, not_before=expired - timedelta(days=1)),
        "of another host": secured.authority.issue_cert("another.example.com"),
    }
    shown = secured.present(certificates[fault])
    use(secured.service)
    for server, treatment in shown:
        until(lambda server=server, treatment=treatment: treatment in server.accepted, "it is connected to")
    use(secured.service)
    time.sleep(0.2)
    assert not [server for server, treatment in shown if treatment in server.established]


def test_servers_with_a_valid_certificate_get_their_data(secured: Secured) -> None:
    shown = secured.present(secured.authority.issue_cert("127.0.0.1"))
    use(secured.service)
    for server, treatment in shown:
        until(lambda server=server, treatment=treatment: treatment in server.established, "it is talked to")
