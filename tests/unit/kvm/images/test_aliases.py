"""The addresses that aliases stand for, as the vendors have them."""

from __future__ import annotations

import pytest

from pymachine.errors import NotSupported, UsageFault
from pymachine_kvm.images.aliases import ALIASES, check_arch, shelf_name, vendor

DEBIAN = "https://cloud.debian.org/images/cloud/trixie/latest"
UBUNTU = "https://cloud-images.ubuntu.com/releases/noble/release"
ALMA = "https://repo.almalinux.org/almalinux/9/cloud/aarch64/images"


@pytest.mark.parametrize(
    ("alias", "arch", "image", "checksums"),
    [
        ("debian-13", "x86_64", f"{DEBIAN}/debian-13-genericcloud-amd64.qcow2", f"{DEBIAN}/SHA512SUMS"),
        ("debian-13", "aarch64", f"{DEBIAN}/debian-13-genericcloud-arm64.qcow2", f"{DEBIAN}/SHA512SUMS"),
        ("ubuntu-24.04", "x86_64", f"{UBUNTU}/ubuntu-24.04-server-cloudimg-amd64.img", f"{UBUNTU}/SHA256SUMS"),
        ("almalinux-9", "aarch64", f"{ALMA}/AlmaLinux-9-GenericCloud-latest.aarch64.qcow2", f"{ALMA}/CHECKSUM"),
    ],
)
def test_an_alias_is_the_vendors_current_image(alias: str, arch: str, image: str, checksums: str) -> None:
    found = vendor(alias)
    assert found.url(arch, None, found.file_name(arch)) == image
    assert found.checksums_url(arch, None) == checksums


def test_a_mirror_stands_for_the_host_and_keeps_the_paths() -> None:
    found = vendor("debian-13")
    assert found.checksums_url("x86_64", "http://mirror.lan:8000/x/") == (
        "http://mirror.lan:8000/x/images/cloud/trixie/latest/SHA512SUMS"
    )


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_every_alias_has_addresses_for_both_architectures_and_an_os_release(alias: str, arch: str) -> None:
    found = vendor(alias)
    for url in (found.url(arch, None, found.file_name(arch)), found.checksums_url(arch, None)):
        assert url.startswith("https://")
        assert "{" not in url
    assert {"ID", "VERSION_ID", "PRETTY_NAME"} <= {line.partition("=")[0] for line in found.os_release.splitlines()}


def test_an_unknown_alias_names_the_one_that_was_meant() -> None:
    with pytest.raises(UsageFault, match="no image 'debain-13'") as caught:
        vendor("debain-13")
    assert " debian-13?" in str(caught.value.hint)


def test_architectures_are_understood_in_debians_words() -> None:
    assert (check_arch("amd64"), check_arch("arm64"), check_arch("aarch64")) == ("x86_64", "aarch64", "aarch64")
    with pytest.raises(NotSupported, match="'riscv64'"):
        check_arch("riscv64")


def test_images_of_two_architectures_do_not_share_a_name() -> None:
    assert (shelf_name("debian-13", "x86_64"), shelf_name("debian-13", "aarch64")) == (
        "debian-13",
        "debian-13-aarch64",
    )
