"""Registering the machine with Ansible Automation Platform at its first boot (contract: AAPRegistration)."""

from __future__ import annotations

import shlex
from typing import Any, Final

from domain.compose.request import Json

SERVICE: Final = "aap-first-boot-reg.service"
_SCRIPT: Final = "/usr/local/sbin/aap-first-boot-reg"
_DONE: Final = "/var/local/.aap-first-boot-reg-done"

_UNIT: Final = f"""[Unit]
Description=Register with Ansible Automation Platform at the first boot
ConditionPathExists=!{_DONE}
Wants=network-online.target
After=network-online.target selinux-autorelabel.service osbuild-first-boot.service

[Service]
Type=oneshot
ExecStart={_SCRIPT}
ExecStartPost=/usr/bin/touch {_DONE}
RemainAfterExit=yes

[Install]
WantedBy=basic.target
"""


def files(registration: Json) -> list[dict[str, Any]]:
    """The script that registers, and the unit that runs it once."""
    return [
        {"path": _SCRIPT, "mode": "0774", "data": _script(registration), "ensure_parents": True},
        {"path": f"/etc/systemd/system/{SERVICE}", "data": _UNIT, "ensure_parents": True},
    ]


def certificates(registration: Json) -> list[str]:
    """The authority that signed the platform's certificate, where one is given."""
    authority = registration.get("tls_certificate_authority")
    return [authority] if authority else []


def _script(registration: Json) -> str:
    insecure = "-k " if registration.get("skip_tls_verification") else ""
    key = shlex.quote(f"host_config_key={registration['host_config_key']}")
    url = shlex.quote(registration["ansible_callback_url"])
    return (
        "#!/usr/bin/bash\n"
        "set -euo pipefail\n"
        f"curl --silent --show-error --fail --globoff --retry 5 {insecure}--data-urlencode {key} --url {url}\n"
    )
