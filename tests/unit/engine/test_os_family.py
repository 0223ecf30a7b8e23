"""Distributions are told by ID and ID_LIKE, and derivatives take their upstream's packages."""

import pytest

from pymachine.engine.os_family import DockerRepo, Family, distro_packages, docker_repo, family_of, parse_os_release
from pymachine.errors import CheckFailed

UBUNTU_22 = 'VERSION_ID="22.04"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=jammy'
UBUNTU_24 = 'VERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble'
DEBIAN_12 = 'VERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian'
DEBIAN_13 = 'VERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\nDEBIAN_VERSION_FULL=13.1'
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22.1"\nVERSION_CODENAME=xia\nUBUNTU_CODENAME=noble'
LMDE = "ID=linuxmint\nID_LIKE=debian\nVERSION_ID=6\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm"
RASPBIAN = 'ID=raspbian\nID_LIKE=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm'
POP = 'ID=pop\nID_LIKE="ubuntu debian"\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nUBUNTU_CODENAME=jammy'
DEVUAN = "ID=devuan\nID_LIKE=debian\nVERSION_CODENAME=daedalus"
STREAM = 'ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"'
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"'
ALMA = 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"'
ORACLE = 'ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.4"'
RHEL_9 = 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"'
RHEL_10 = 'ID="rhel"\nID_LIKE="centos fedora"\nVERSION_ID="10.0"'
FEDORA = "ID=fedora\nVERSION_ID=43"
AMAZON = 'ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"'
LEAP = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"'
TUMBLEWEED = 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"'
SLES = 'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.6"'
ARCH = "ID=arch\nBUILD_ID=rolling"
MANJARO = "ID=manjaro\nID_LIKE=arch"
ALPINE = "ID=alpine\nVERSION_ID=3.22.0"


@pytest.mark.parametrize(
    ("text", "family", "repo", "packages"),
    [
        (UBUNTU_22, Family.APT, DockerRepo("ubuntu", "jammy"), ("docker.io",)),
        (UBUNTU_24, Family.APT, DockerRepo("ubuntu", "noble"), ("docker.io",)),
        (DEBIAN_12, Family.APT, DockerRepo("debian", "bookworm"), ("docker.io",)),
        (DEBIAN_13, Family.APT, DockerRepo("debian", "trixie"), ("docker.io",)),
        (MINT, Family.APT, DockerRepo("ubuntu", "noble"), ("docker.io",)),
        (LMDE, Family.APT, DockerRepo("debian", "bookworm"), ("docker.io",)),
        (RASPBIAN, Family.APT, DockerRepo("debian", "bookworm"), ("docker.io",)),
        (POP, Family.APT, DockerRepo("ubuntu", "jammy"), ("docker.io",)),
        (STREAM, Family.DNF, DockerRepo("centos"), ()),
        (ROCKY, Family.DNF, DockerRepo("centos"), ()),
        (ALMA, Family.DNF, DockerRepo("centos"), ()),
        (RHEL_9, Family.DNF, DockerRepo("rhel"), ()),
        (RHEL_10, Family.DNF, DockerRepo("rhel"), ()),
        (FEDORA, Family.DNF, DockerRepo("fedora"), ("moby-engine", "docker-cli")),
        (ORACLE, Family.DNF, DockerRepo("centos"), ()),
        (AMAZON, Family.DNF, None, ("docker",)),
        (LEAP, Family.ZYPPER, None, ("docker",)),
        (TUMBLEWEED, Family.ZYPPER, None, ("docker",)),
        (SLES, Family.ZYPPER, None, ("docker",)),
        (ARCH, Family.PACMAN, None, ("docker",)),
        (MANJARO, Family.PACMAN, None, ("docker",)),
        (ALPINE, Family.APK, None, ("docker",)),
    ],
)
def test_each_distribution_gets_its_family_and_packages(
    text: str, family: Family, repo: DockerRepo | None, packages: tuple[str, ...]
) -> None:
    release = parse_os_release(text)

    assert family_of(release) is family
    assert docker_repo(release) == repo
    assert distro_packages(release) == packages


def test_a_debian_derivative_that_hides_its_codename_is_placed_by_debian_version() -> None:
    assert docker_repo(parse_os_release(DEVUAN), "12.7\n") == DockerRepo("debian", "bookworm")
    assert docker_repo(parse_os_release(DEVUAN), "trixie/sid") == DockerRepo("debian", "trixie")


def test_an_unknown_system_is_refused_with_its_names_and_what_is_supported() -> None:
    release = parse_os_release('ID=plan9\nID_LIKE="inferno"\nPRETTY_NAME="Plan 9"')

    with pytest.raises(CheckFailed) as refused:
        family_of(release)

    assert "ID=plan9" in refused.value.message
    assert "ID_LIKE=inferno" in refused.value.message
    assert "Debian" in str(refused.value.hint)


def test_os_release_survives_odd_lines() -> None:
    text = '# comment\n\nID=\'debian\'\nPRETTY_NAME="a = b"\nBROKEN="\nnot an assignment\n export X=1'

    release = parse_os_release(text)

    assert (release.id, release.pretty) == ("debian", "a = b")
