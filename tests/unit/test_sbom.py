"""What `tools/sbom.py` makes of the packages of a system; the rest is seen on the image."""

from __future__ import annotations

from packageurl import PackageURL

from tools import sbom

RPM = "rpm\tredhat\topenssl-libs\t1:3.2.2-6.el9_5\tx86_64\trhel-9.5\tASL 2.0"
DEB = "deb\tdebian\tlibc6\t2.36-9+deb12u14\tamd64\tdebian-12\t"


def test_a_package_of_rpm_is_named_with_its_epoch_apart() -> None:
    (component,) = sbom.of_system(RPM)
    assert PackageURL.from_string(component["purl"]) == PackageURL(
        "rpm", "redhat", "openssl-libs", "3.2.2-6.el9_5", {"arch": "x86_64", "distro": "rhel-9.5", "epoch": "1"}
    )


def test_a_licence_is_told_where_it_is_known() -> None:
    with_one, without = sbom.of_system(f"{RPM}\n{DEB}\n")
    assert with_one["licenses"] == [{"license": {"name": "ASL 2.0"}}]
    assert "licenses" not in without


def test_a_package_that_is_there_twice_is_told_once() -> None:
    assert len(sbom.of_system(f"{DEB}\n{DEB}\n")) == 1
