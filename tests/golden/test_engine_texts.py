"""Every text that reaches a host, per family and source of packages, as committed in tests/golden/engine.

Only apt's are run on real hosts (tests/lab); for dnf, zypper, pacman and apk these texts are all the proof there is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pymachine.engine.bundle import Bundle, TlsFiles, setup_bundle
from pymachine.engine.facts import HostFacts, facts_command
from pymachine.engine.host_facts import EngineFacts
from pymachine.engine.manifest import Manifest
from pymachine.engine.removal import plan_removal, removal_bundle
from pymachine.engine.setup import plan_setup
from pymachine.engine.trust import EngineAccess, plan_trust, trust_bundle, with_authority
from pymachine.engine.upgrade import plan_upgrade, upgrade_bundle
from pymachine.model import EngineSpec, Machine

DEBIAN_12 = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
DEBIAN_13 = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
UBUNTU = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n'
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
RHEL = 'ID="rhel"\nID_LIKE="centos fedora"\nVERSION_ID="10.0"\n'
FEDORA = "ID=fedora\nVERSION_ID=43\n"
AMAZON = 'ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
LEAP = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'
ARCH = "ID=arch\n"
ALPINE = "ID=alpine\nVERSION_ID=3.22.0\n"

ENGINE = EngineFacts(
    dockerd="/usr/sbin/dockerd", unit="docker.service", version="26.1.5", package="docker.io", active=True,
    containers=("db", "web"),
    unit_text="# /lib/systemd/system/docker.service\nExecStart=/usr/sbin/dockerd -H fd://\n",
)  # fmt: skip
# As docker-machine starts it: its drop-in, and the words of the daemon.
THEIR_COMMAND = (
    "/usr/sbin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --storage-driver overlay2 --tlsverify"
    " --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem"
    " --label provider=generic"
)
THEIR_ENGINE = replace(
    ENGINE, cmdline=tuple(THEIR_COMMAND.split()),
    unit_text=f"{ENGINE.unit_text}# /etc/systemd/system/docker.service.d/10-machine.conf\n[Service]\nExecStart=\n"
    f"ExecStart={THEIR_COMMAND}\nEnvironment=\n",
)  # fmt: skip
MIRROR: dict[str, Any] = {
    "repo_url": "https://reader:s3cret@mirror.lan/docker", "version": "26.1", "channel": "test", "https_proxy": "http://p.lan:3128",
    "no_proxy": ("lan", "10.0.0.0/8"), "env": ('QUOTED=a "b" $c %d \\e',), "opts": ("log-opt=max-file=3",),
}  # fmt: skip
TLS = TlsFiles(ca=b"CA\n", cert=b"CERT\n", key=b"KEY\n")
# The same in every set-up: compared once.
SHARED = frozenset({"run.sh", "rollback.sh", "exec-start.awk"})
SETUPS: dict[str, tuple[str, dict[str, Any]]] = {
    "debian13-distro": (DEBIAN_13, {"install": "distro"}),
    "debian13-docker-mirror": (DEBIAN_13, MIRROR),
    "debian12-url": (DEBIAN_12, {"install": "https://reader:s3cret@get.example.com/engine.sh"}),
    "ubuntu24-docker": (UBUNTU, {"install": "docker"}),
    "rocky9-docker": (ROCKY, {"install": "docker", "version": "28.0.1"}),
    "rhel10-docker": (RHEL, {"install": "docker"}),
    "fedora43-distro": (FEDORA, {"install": "distro"}),
    "amazon2023-distro": (AMAZON, {"install": "distro"}),
    "leap15-distro": (LEAP, {"install": "distro"}),
    "arch-distro": (ARCH, {"install": "distro"}),
    "alpine-distro": (ALPINE, {"install": "distro", "env": ("QUOTED=it's",)}),
}


def machine(**spec: Any) -> Machine:
    return Machine("node1", "0123456789abcdef", "ssh", engine=EngineSpec(**spec))


def set_up(name: str) -> Bundle:
    release, spec = SETUPS[name]
    return setup_bundle(plan_setup(machine(**spec), HostFacts.assumed(release, hostname="bare", user="ann")), TLS)


def adopted() -> HostFacts:
    return replace(
        HostFacts.assumed(DEBIAN_12, hostname="old"), engine=ENGINE, daemon_json=b'{\n    "log-driver": "local"\n}\n'
    )


def trusted() -> Bundle:
    engine = replace(ENGINE, cmdline=("dockerd", "--tlsverify", "--tlscacert", "/etc/docker/pymachine/ca.pem"))
    facts = replace(HostFacts.assumed(DEBIAN_13, hostname="bare"), engine=engine, daemon_json=b"{}\n")
    access = EngineAccess("/etc/docker/pymachine/ca.pem", 2376, Manifest("node1", "0123456789abcdef"))
    return trust_bundle(plan_trust(facts, access, b"CA\n", with_authority(b"CA\n", b"OURS", "store"), "append it"))


def theirs() -> HostFacts:
    """The facts of a host that docker-machine set up."""
    return replace(HostFacts.assumed(DEBIAN_13, hostname="old"), engine=THEIR_ENGINE)


def theirs_after() -> HostFacts:
    """The same when a set-up of ours has been there."""
    plan = plan_setup(machine(), theirs())
    engine = replace(ENGINE, cmdline=(*plan.config.command, "-H", plan.config.listen, *plan.config.protection))
    return replace(
        theirs(), engine=engine, daemon_json=plan.config.final, manifest=json.loads(plan.manifest.text())
    )  # fmt: skip


def after(release: str, package: str, **spec: Any) -> HostFacts:
    """The facts of a host that a set-up of ours has installed the engine on."""
    before = HostFacts.assumed(release, hostname="bare", user="ann")
    plan = plan_setup(machine(**spec), before)
    return replace(
        before, engine=replace(ENGINE, package=package), hostname="node1", daemon_json=plan.config.final,
        manifest=json.loads(plan.manifest.text()), installed=("docker.io",),
    )  # fmt: skip


BUNDLES: dict[str, Bundle] = {
    **{name: set_up(name) for name in SETUPS},
    "debian12-adopted": setup_bundle(plan_setup(machine(), adopted()), TLS),
    "debian13-docker-machine": setup_bundle(plan_setup(machine(), theirs()), TLS),
    "debian13-docker-machine-remove": removal_bundle(plan_removal(theirs_after())),
    "debian13-remove": removal_bundle(plan_removal(after(DEBIAN_13, "docker.io", install="distro"))),
    "debian13-purge": removal_bundle(plan_removal(after(DEBIAN_13, "docker-ce", install="docker"), purge=True)),
    "alpine-purge": removal_bundle(plan_removal(after(ALPINE, "docker", install="distro"), purge=True)),
    "debian13-upgrade": upgrade_bundle(
        plan_upgrade(EngineSpec(version="27.0"), after(DEBIAN_13, "docker-ce", install="docker"))
    ),
    "rocky9-upgrade": upgrade_bundle(plan_upgrade(EngineSpec(), after(ROCKY, "docker-ce", install="docker"))),
    "debian13-trust": trusted(),
    "alpine-upgrade": upgrade_bundle(plan_upgrade(EngineSpec(), after(ALPINE, "docker", install="distro"))),
}
# Whose scripts are committed as differences, from which whole ones: there is one whole text for a package manager.
LIKE = {
    "debian13-docker-mirror": "debian13-distro",
    "debian12-url": "debian13-distro",
    "debian12-adopted": "debian13-distro",
    "debian13-docker-machine": "debian13-distro",
    "debian13-docker-machine-remove": "debian13-remove",
    "ubuntu24-docker": "debian13-distro",
    "rocky9-docker": "fedora43-distro",
    "rhel10-docker": "fedora43-distro",
    "amazon2023-distro": "fedora43-distro",
    "debian13-purge": "debian13-remove",
}
# Scripts that repeat most of one whole text, in each of their bundles.
ONE_FOR_ALL = {"extras.sh": "debian13-distro/extras.sh", "trust.sh": "debian13-remove/remove.sh"}
every_bundle = pytest.mark.parametrize("name", BUNDLES)


@every_bundle
def test_the_texts_are_those_committed(name: str, golden: Any) -> None:
    for file in BUNDLES[name].files:
        if file.path not in SHARED or name == "debian13-distro":
            golden(f"engine/{name}/{file.path}", file.content.decode(), like(name, file.path))


def like(name: str, path: str) -> tuple[str, str] | None:
    """The whole text that a script of a bundle is committed as a difference from."""
    whole = ONE_FOR_ALL.get(path, f"{LIKE.get(name, name)}/{path}")
    if whole == f"{name}/{path}" or not path.endswith(".sh"):
        return None
    bundle, script = whole.split("/")
    (content,) = [file.content for file in BUNDLES[bundle].files if file.path == script]
    return f"engine/{whole}", content.decode()


def test_every_whole_text_is_committed_whole() -> None:
    assert not set(LIKE) & set(LIKE.values())
    assert all(like(*whole.split("/")) is None for whole in ONE_FOR_ALL.values())


def test_no_committed_text_is_left_over() -> None:
    folder = Path(__file__).parent / "engine"
    seen = {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    assert seen == {
        f"{name}/{file.path}" + (".diff" if like(name, file.path) else "")
        for name, bundle in BUNDLES.items()
        for file in bundle.files
        if file.path not in SHARED or name == "debian13-distro"
    }


@every_bundle
def test_a_byte_that_changes_in_a_difference_or_outside_of_it_is_noticed(name: str, golden: Any) -> None:
    for file in BUNDLES[name].files:
        if whole := like(name, file.path):
            text = file.content.decode()
            for place in range(0, len(text), len(text) // 25):
                changed = text[:place] + ("?" if text[place] != "?" else "!") + text[place + 1 :] + "\n"
                with pytest.raises(AssertionError):
                    golden(f"engine/{name}/{file.path}", changed, whole)


@every_bundle
def test_a_password_for_a_source_is_said_to_curl_and_to_a_file_of_roots_alone(name: str) -> None:
    for file in BUNDLES[name].files:
        told = [line for line in file.content.decode().splitlines() if "s3cret" in line]
        assert file.path == "docker.auth" or all(line.split()[0] == "fetch" for line in told), file.path
        assert not any("s3cret" in line.split("||")[-1] for line in told if "||" in line)


def test_the_facts_command_is_the_one_committed(golden: Any) -> None:
    golden("engine/facts.sh", str(facts_command().words[2]))


def scripts() -> dict[str, str]:
    """Every script once, by the first bundle that has it: many bundles share one."""
    texts: dict[str, str] = {}
    for name, bundle in BUNDLES.items():
        for file in bundle.files:
            if file.path.endswith(".sh"):
                texts.setdefault(file.content.decode(), f"{name}/{file.path}")
    return {path: text for text, path in texts.items()}


SCRIPTS = scripts()
every_script = pytest.mark.parametrize("path", SCRIPTS)


@every_script
def test_every_script_is_read_by_dash_and_by_busybox(path: str) -> None:
    for shell in (["dash"], ["busybox", "sh"]):
        if not shutil.which(shell[0]):
            pytest.skip(f"no {shell[0]} here")
        done = subprocess.run([*shell, "-n"], input=SCRIPTS[path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@every_script
def test_shellcheck_finds_nothing(path: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    # SC2043: the list of packages may have one member. SC2034, SC2317: parts shared by all families.
    command = ["shellcheck", "-s", "sh", "-e", "SC2043,SC2034,SC2317", "-"]
    done = subprocess.run(command, input=SCRIPTS[path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@every_bundle
def test_every_json_file_is_json(name: str) -> None:
    for file in BUNDLES[name].files:
        if file.path.endswith(".json"):
            assert isinstance(json.loads(file.content), dict)


@every_bundle
def test_nothing_that_is_staged_can_be_read_by_others(name: str) -> None:
    assert {file.mode for file in BUNDLES[name].files} == {0o600}


@every_bundle
def test_the_key_is_in_its_own_file_and_on_no_command_line(name: str) -> None:
    bundle = BUNDLES[name]

    assert all(b"KEY\n" not in file.content for file in bundle.files if file.path != "server-key.pem")
    assert "KEY" not in bundle.run.shell()


def test_bundles_that_differ_are_staged_apart() -> None:
    assert len({bundle.folder for bundle in BUNDLES.values()}) == len(BUNDLES)
