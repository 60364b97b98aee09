"""Registration of the machine with Ansible Automation Platform at its first boot.

Source: openapi.yaml, schema AAPRegistration.
"""

from __future__ import annotations

import shlex
from typing import Final

from domain.compose.additions import Additions
from domain.compose.context import BuildContext
from domain.compose.request import ComposeRequest, Json
from domain.errors import InvalidRequestError

_SERVICE: Final = "aap-first-boot-reg.service"
_SCRIPT: Final = "/usr/local/sbin/aap-first-boot-reg"
# The unit creates this file after the registration, so that the script runs only once.
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


def check_registration(request: ComposeRequest) -> None:
    """Raise InvalidRequestError for a registration without its key, which exports leave out."""
    registration = request.get_customization("aap_registration")
    if registration is not None and not registration["host_config_key"]:
        raise InvalidRequestError(
            "customizations.aap_registration.host_config_key: expected the key; exports leave it out, because it is a "
            "secret"
        )


def get_aap_additions(context: BuildContext) -> Additions:
    """Return the script that registers the machine, its unit, and the platform's certificate authority.

    No additions if the request has no `aap_registration`.
    """
    registration = context.request.get_customization("aap_registration")
    if registration is None:
        return Additions()
    authority = registration.get("tls_certificate_authority")
    return Additions(
        last_files=(
            {"path": _SCRIPT, "mode": "0774", "data": _write_script(registration), "ensure_parents": True},
            {"path": f"/etc/systemd/system/{_SERVICE}", "data": _UNIT, "ensure_parents": True},
        ),
        certificates=(authority,) if authority else (),
        services=(_SERVICE,),
    )


def _write_script(registration: Json) -> str:
    insecure = "-k " if registration.get("skip_tls_verification") else ""
    key = shlex.quote(f"host_config_key={registration['host_config_key']}")
    url = shlex.quote(registration["ansible_callback_url"])
    return (
        "#!/usr/bin/bash\n"
        "set -euo pipefail\n"
        f"curl --silent --show-error --fail --globoff --retry 5 {insecure}--data-urlencode {key} --url {url}\n"
    )
