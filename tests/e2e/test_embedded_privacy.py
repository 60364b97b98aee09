"""Other users of the machine cannot see data or the password of `serve --embedded`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.builders import compose_request
from tests.support.embedded import embedded
from tests.support.processes import running
from tests.support.service import BASE, PROJECT
from tests.support.waiting import PATIENCE

OTHERS = 0o077


def password_in(passfile: Path) -> str:
    return passfile.read_text().strip().rpartition(":")[2]


def test_other_users_cannot_read_files_see_the_password_or_use_the_database() -> None:
    with embedded(workers=2) as service:
        response = requests.post(
            f"{service.url}{BASE}/compose",
            json=compose_request(),
            headers={"x-rh-identity": service.identity},
            timeout=PATIENCE,
        )
        assert response.status_code == 201, response.text
        password = password_in(service.data / "postgres.pgpass")
        # Root's is open to the group of the account that runs PostgreSQL, to walk through.
        assert service.data.stat().st_mode & 0o7777 == (0o710 if os.geteuid() == 0 else 0o700)
        modes = {path.name: path.stat().st_mode & OTHERS for path in service.data.iterdir()}
        assert {"postgres", "postgres.log", "postgres.pgpass", "stand-in-composer.sqlite"} <= modes.keys()
        assert set(modes.values()) == {0}

        processes = running(str(service.data))
        assert processes
        for process in processes:
            assert password.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()
            if Path(f"/proc/{process}").stat().st_uid != os.geteuid():
                assert password.encode() not in Path(f"/proc/{process}/environ").read_bytes()
        assert password not in service.said

        port = int((service.data / "postgres" / "postmaster.pid").read_text().splitlines()[3])
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="imagebuilder", passfile=os.devnull)


def test_config_masks_the_password_of_the_environment_and_of_local_env(tmp_path: Path) -> None:
    password = "ab" * 32
    (tmp_path / "local.env").write_text(f"PGPASSWORD={password}\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "COMPOSER_URL": "http://127.0.0.1:1"}
    for more in ({}, {"PGPASSWORD": password}):
        ended = subprocess.run(
            [sys.executable, "-m", "image_builder", "config"],
            env=environment | more,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert "PGPASSWORD" in ended.stdout
        assert password not in ended.stdout + ended.stderr
