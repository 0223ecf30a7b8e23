"""The survey, run by a real shell on a host of real processes: what is asked, of whom, and what no answer means."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pymachine.engine.host_facts import Asked, HostFacts
from pymachine.engine.os_family import Family, family_of
from pymachine.engine.removal import plan_removal
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.engine.upgrade import plan_upgrade
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine
from unit.surveyed import INFO, Surveyed, link_tools


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_tools(tmp_path_factory.mktemp("shared") / "tools")


@pytest.fixture
def host(tmp_path: Path, tools: Path) -> Iterator[Surveyed]:
    made = Surveyed(tmp_path, tools)
    yield made
    made.close()


def planned(facts: HostFacts, **spec: Any) -> SetupPlan:
    return plan_setup(Machine("node1", "id-1", "ssh", engine=EngineSpec(install="distro", **spec)), facts)


def refused(facts: HostFacts) -> CheckFailed:
    with pytest.raises(CheckFailed) as found:
        planned(facts)
    assert found.value.exit_code == 3
    assert found.value.hint
    return found.value


class TestSockets:
    @pytest.mark.parametrize(
        ("socket", "words"),
        [
            ("srv/run/docker.sock", ()),  # hosts in a daemon.json, or a ListenStream elsewhere
            ("srv/run/docker.sock", ("-H", "unix:///run/docker.sock")),  # what it is told is not what is so
            ("a folder/d.sock", ("--host=fd://",)),
            ("@pymachine-test-docker", ()),
        ],
    )
    def test_a_running_engine_is_asked_wherever_it_listens(
        self, host: Surveyed, socket: str, words: tuple[str, ...]
    ) -> None:
        socket += str(os.getpid()) if socket.startswith("@") else ""
        host.engine(host.dockerd(socket, *words, containers=["web", "db"]))

        engine = host.look().engine

        assert engine is not None
        assert (engine.asked, engine.containers) == (Asked.ANSWERED, ("db", "web"))
        assert engine.socket == (socket if socket.startswith("@") else str(host.root / socket))

    def test_an_engine_behind_a_program_that_stays_is_found_by_its_unit_alone(self, host: Surveyed) -> None:
        main = host.idle("start-docker.sh")
        host.engine(main)

        engine = host.look().engine

        assert engine is not None
        assert engine.asked is Asked.UNANSWERED

    @pytest.mark.parametrize(
        "answers",
        [
            {"/info": "<html>not an engine</html>"},
            {"/info": {"message": "cannot be told"}},
            {"/containers/json": "half of a [", "/info": INFO},
        ],
        ids=["another program", "an error", "half an answer"],
    )
    def test_one_that_runs_and_cannot_be_asked_is_refused_by_every_verb(
        self, host: Surveyed, answers: dict[str, Any]
    ) -> None:
        host.engine(host.dockerd("run/docker.sock", **answers))

        facts = host.look()

        assert str(host.root / "run/docker.sock") in refused(facts).message
        with pytest.raises(CheckFailed):
            plan_removal(facts)
        with pytest.raises(CheckFailed):
            plan_upgrade(EngineSpec(), facts)

    def test_without_any_program_that_could_ask_the_answer_is_not_none_either(self, host: Surveyed) -> None:
        host.without("curl")
        host.engine(host.dockerd("run/docker.sock", containers=["web"]))

        assert "curl" in (refused(host.look()).hint or "")

    @pytest.mark.parametrize("curl", [None, "#!/bin/sh\necho 'option --unix-socket: is unknown' >&2\nexit 2\n"])
    def test_the_client_asks_where_curl_is_not_or_is_too_old(self, host: Surveyed, curl: str | None) -> None:
        host.without("curl")
        if curl:
            host.program("curl", curl)
        pid = host.dockerd("srv/docker.sock")
        host.engine(pid)
        host.program(
            "docker",
            f"""\
            #!/bin/sh
            [ "$DOCKER_HOST" = "unix:///proc/{pid}/root{host.root}/srv/docker.sock" ] || exit 1
            case $1 in info) echo '{json.dumps(INFO)}' ;; ps) echo '{{"Names":"web"}}' ;; esac
            """,
        )

        engine = host.look(environ={"DOCKER_HOST": "tcp://elsewhere:1"}).engine

        assert engine is not None
        assert (engine.asked, engine.containers) == (Asked.ANSWERED, ("web",))

    def test_an_engine_that_does_not_run_has_no_containers(self, host: Surveyed) -> None:
        host.engine()

        facts = host.look()

        assert facts.engine is not None
        assert facts.engine.asked is Asked.ABSENT
        planned(facts)

    @pytest.mark.parametrize("listen", ["127.0.0.1:2375", "[::]:2375", "192.0.2.7:4243"])
    def test_a_port_that_systemd_opens_for_the_engine_is_refused(self, host: Surveyed, listen: str) -> None:
        host.engine(host.dockerd("run/docker.sock"), TriggeredBy="docker.socket")
        host.unit("docker.socket", ActiveState="active", Listen=["/run/docker.sock (Stream)", f"{listen} (Stream)"])

        message = refused(host.look()).message
        assert "docker.socket" in message
        assert listen in message

    def test_more_unix_sockets_are_kept_and_other_kinds_are_told_of(self, host: Surveyed) -> None:
        host.engine(host.dockerd("run/docker.sock"), TriggeredBy="docker.socket more.socket")
        host.unit("docker.socket", Listen=["/run/docker.sock (Stream)", "/srv/d.sock (Stream)"])
        host.unit("more.socket", Listen="vsock:2:2375 (Stream)")

        told = "\n".join(planned(host.look()).announcements)

        assert "vsock:2:2375" in told
        assert "/srv/d.sock" not in told


class TestNeighbours:
    @pytest.mark.parametrize("name", ["dockerd-current", "dockerd-27.3"])
    def test_a_dockerd_under_another_name(self, host: Surveyed, name: str) -> None:
        pid = host.idle(name)
        assert str(pid) in refused(host.look()).message

    def test_a_script_called_after_it_is_none(self, host: Surveyed) -> None:
        host.idle("dockerd-rootless.sh")
        planned(host.look())

    def test_a_dockerd_without_a_unit(self, host: Surveyed) -> None:
        pid = host.dockerd("run/docker.sock", containers=["web"])

        assert str(pid) in refused(host.look()).message

    def test_a_dockerd_beside_a_unit_that_does_not_run_is_refused_and_beside_one_that_does_told_of(
        self, host: Surveyed
    ) -> None:
        pid = host.dockerd("srv/other.sock")
        host.engine()
        assert str(pid) in refused(host.look()).message

        host.engine(host.dockerd("run/docker.sock"))
        assert any(str(pid) in told for told in planned(host.look()).announcements)

    def test_a_rootless_engine_is_refused_unless_the_host_has_one_of_its_own(self, host: Surveyed) -> None:
        if os.getuid():
            pytest.skip("only root can start a process of somebody else")
        host.idle("dockerd", user="nobody")
        assert "rootless" in refused(host.look()).message

        host.engine(host.dockerd("run/docker.sock"))
        planned(host.look())

    @pytest.mark.parametrize("unit", ["docker.service", "docker.socket", "containerd.service"])
    def test_a_masked_unit_is_refused_before_packages_come(self, host: Surveyed, unit: str) -> None:
        host.unit(unit, LoadState="masked")

        error = refused(host.look())

        assert unit in error.message
        assert f"systemctl unmask {unit}" in (error.hint or "")

    def test_a_masked_socket_is_nothing_to_an_engine_that_does_without(self, host: Surveyed) -> None:
        pid = host.dockerd("run/docker.sock", "-H", "unix:///run/docker.sock")
        host.unit("docker.socket", LoadState="masked")
        host.engine(pid, "-H unix:///run/docker.sock")
        planned(host.look())

        host.engine(pid, "-H unix:///run/docker.sock", Requires="docker.socket sysinit.target")
        assert "docker.socket" in refused(host.look()).message

    def test_a_systemd_that_does_not_answer_is_no_systemd_without_units(self, host: Surveyed) -> None:
        (host.units / "broken").touch()

        assert "systemctl show" in (refused(host.look()).hint or "")

    def test_podman_behind_the_name_of_dockers_client(self, host: Surveyed) -> None:
        host.program("docker", "#!/bin/sh\necho 'Emulate Docker CLI using podman.' >&2\necho podman version 5.4.2\n")

        assert "podman-docker" in (refused(host.look()).hint or "")

    @pytest.mark.parametrize(
        ("answer", "named"),
        [({"Components": [{"Name": "Podman Engine"}]}, "podman"), ({"Version": "28"}, "other.sock")],
    )
    def test_somebody_else_at_the_socket_of_dockers_clients(
        self, host: Surveyed, answer: dict[str, Any], named: str
    ) -> None:
        host.dockerd("run/user/other.sock", name="podman", **{"/version": answer})
        (host.root / "run/docker.sock").symlink_to(host.root / "run/user/other.sock")

        assert named in refused(host.look()).message

    def test_a_socket_that_systemd_holds_for_an_engine_that_sleeps_is_nobody_elses(self, host: Surveyed) -> None:
        host.engine(TriggeredBy="docker.socket")
        host.unit("docker.socket", ActiveState="active", Listen="/run/docker.sock (Stream)")

        assert host.look().neighbours == ()

    def test_a_snap(self, host: Surveyed) -> None:
        host.program("snap", '#!/bin/sh\n[ "$*" = "list docker" ]\n')

        assert "snap" in refused(host.look()).message

    def test_containers_whose_engine_is_down(self, host: Surveyed) -> None:
        shim = ("-namespace", "moby", "-id", "c0ffee", "-address", "/run/containerd/containerd.sock")
        host.idle("containerd-shim-runc-v2", *shim)
        host.engine()
        assert "1 container(s)" in refused(host.look()).message

        host.engine(host.dockerd("run/docker.sock", containers=["web"]))
        planned(host.look())

    def test_containers_of_kubernetes(self, host: Surveyed) -> None:
        words = ["-namespace", "k8s.io", "-id", "c0ffee", "-address", "/run/containerd/containerd.sock"]
        host.idle("containerd-shim-runc-v2", *words)
        assert "k8s.io" in refused(host.look()).message

    def test_containers_of_a_containerd_of_its_own_are_left_alone(self, host: Surveyed) -> None:
        words = ["-namespace", "k8s.io", "-id", "c0ffee", "-address", "/run/k3s/containerd/containerd.sock"]
        host.idle("containerd-shim-runc-v2", *words)
        planned(host.look())


class TestFirewalld:
    ZONES = """\
        #!/bin/sh
        echo "$@" >>{log}
        case $* in
            *--state*) exit {state} ;;
            *--get-default-zone*) echo public ;;
            *--get-zone-of-interface=eth1*) echo internal ;;
            *--get-zone-of-interface=eth2*) echo 'no zone' >&2; exit 2 ;;
            *--get-zone-of-interface*) exit 254 ;;
            *--query-port*) exit {query} ;;
            *) exit 1 ;;
        esac
        """
    ADDRESSES = """\
        #!/bin/sh
        case $* in
            '-o addr show'*) printf '%s\\n' '2: eth1    inet 10.1.0.5/24 scope global eth1' \\
                '3: eth2    inet 10.2.0.5/24 scope global eth2' '4: eth3    inet6 fd00::5/64 scope global' ;;
            'route show default') echo 'default via 10.2.0.1 dev eth2' ;;
            *) exit 1 ;;
        esac
        """

    def _host(self, host: Surveyed, *, state: int = 0, query: int = 1) -> None:
        host.program("firewall-cmd", self.ZONES.format(log=host.root / "asked", state=state, query=query))
        host.program("ip", self.ADDRESSES)

    @pytest.mark.parametrize(
        ("came", "zone"),
        [
            ("192.0.2.1 4000 10.1.0.5 22", "internal"),
            ("192.0.2.1 4000 ::ffff:10.1.0.5 22", "internal"),
            ("192.0.2.1 4000 10.2.0.5 22", "public"),  # an interface that is in no zone: the default one
            ("192.0.2.1 4000 203.0.113.9 22", "public"),  # an address that is translated on the way: the way out
            ("", "public"),
        ],
    )
    def test_the_port_is_opened_in_the_zone_of_the_interface_that_we_came_by(
        self, host: Surveyed, came: str, zone: str
    ) -> None:
        self._host(host)

        plan = planned(host.look(port=2400, environ={"SSH_CONNECTION": came}), port=2400)

        assert plan.firewall.opens is not None
        assert (plan.firewall.opens.zone, plan.firewall.opens.port) == (zone, 2400)
        assert any("--query-port=2400/tcp" in line for line in (host.root / "asked").read_text().splitlines())

    def test_an_opening_of_somebody_else_stays_theirs(self, host: Surveyed) -> None:
        self._host(host, query=0)

        plan = planned(host.look(environ={"SSH_CONNECTION": "a 1 10.1.0.5 22"}))

        assert plan.firewall.opens is None
        assert plan.manifest.opening is None

    def test_a_zone_that_cannot_be_asked_is_not_guessed(self, host: Surveyed) -> None:
        self._host(host)
        host.program("ip", "#!/bin/sh\nexit 1\n")
        assert "firewalld" in refused(host.look()).message
        self._host(host)
        assert "eth3" in refused(host.look(environ={"SSH_CONNECTION": "a 1 fd00::5 22"})).message

    def test_firewalld_that_does_not_run_is_not_there_and_one_that_does_not_answer_is(self, host: Surveyed) -> None:
        self._host(host, state=252)
        assert host.look().firewall.firewalld is Asked.ABSENT
        self._host(host, state=36)
        assert "firewalld" in refused(host.look()).message

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("echo 'Status: active'", ["ufw allow 2376/tcp"]),
            ("echo 'Status: active'; echo '2376/tcp      ALLOW IN    Anywhere'", []),
            ("echo 'Status: inactive'", []),
            ("exit 1", ["ufw allow 2376/tcp"]),
        ],
    )
    def test_ufw_is_asked_whether_it_is_on(self, host: Surveyed, said: str, told: list[str]) -> None:
        host.program("ufw", f"#!/bin/sh\n{said}\n")

        assert [part for part in told if any(part in line for line in planned(host.look()).announcements)] == told
        assert bool(told) == any("ufw" in line for line in planned(host.look()).announcements)


class TestSystem:
    @pytest.mark.parametrize(
        ("text", "known", "family"),
        [
            ('ID="ol"\nVERSION_ID="9.4"\n', "ol", Family.DNF),
            ("ID='rocky'\nID_LIKE='rhel fedora'\n", "rocky", Family.DNF),
            ('export ID=almalinux # a note\nVERSION_ID="9"\n', "almalinux", Family.DNF),
            ('base=opensuse\nID="${base}-leap"\n', "opensuse-leap", Family.ZYPPER),
            ('ID="amzn"\nVERSION_ID="2023"\n', "amzn", Family.DNF),
            ("ID=linuxmint\nUBUNTU_CODENAME=noble\n", "linuxmint", Family.APT),
            ("ID=unheard-of\n", "unheard-of", Family.APT),  # what it has is apt, and nothing else
            ("ID=de\\\nbian\n", "debian", Family.APT),
            ('ID=debian\nPRETTY_NAME="half a quote\n', "debian", Family.APT),
        ],
    )
    def test_os_release_is_read_as_a_shell_reads_it(
        self, host: Surveyed, text: str, known: str, family: Family
    ) -> None:
        host.without("dnf", "yum", "zypper", "pacman", "apk")
        host.program("apt-get", "#!/bin/sh\nexit 1\n")
        host.write("etc/os-release", text)

        facts = host.look()

        assert (facts.os.id, family_of(facts.os)) == (known, family)

    def test_what_stands_in_os_release_is_not_run(self, host: Surveyed) -> None:
        host.write("etc/os-release", f"ID=debian\ntouch {host.root}/harm\ncat /etc/passwd\nPRETTY_NAME=$(id)\n")

        assert host.look().os.id == "debian"
        assert not (host.root / "harm").exists()

    def test_the_address_of_a_hosts_own_bridge_is_its_own(self, host: Surveyed) -> None:
        def link(name: str, address: str, kind: str = "", **more: Any) -> dict[str, Any]:
            of = {"linkinfo": {"info_kind": kind}} if kind else {}
            info = [{"family": "inet", "local": address, "prefixlen": 24, "scope": "global"}] if address else []
            return {"ifname": name, "addr_info": info, **of, **more}

        home = {"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host"}
        links = [
            {"ifname": "lo", "addr_info": [home]},
            link("eth0", "", master="br-mgmt"), link("br-mgmt", "10.1.0.5", "bridge"),
            link("br-0123456789ab", "172.20.0.1", "bridge"),  # named as the engine does, and not one of its
            link("br-ba9876543210", "172.21.0.1", "bridge"), link("app0", "172.22.0.1", "bridge"),
            link("veth0a1b2c3", "", "veth", master="app0"), link("virbr0", "192.168.122.1", "bridge"),
            link("dockernet", "10.2.0.5"), link("bond0.7", "10.3.0.5", "vlan"), link("cni0", "10.4.0.1", "bridge"),
        ]  # fmt: skip
        host.program("ip", f"#!/bin/sh\ncase $1 in -json) cat {host.write('links', json.dumps(links))} ;; esac\n")
        named = {"Id": "c" * 64, "Driver": "bridge", "Options": {"com.docker.network.bridge.name": "app0"}}
        other = {"Id": "ba9876543210" + "f" * 52, "Driver": "bridge", "Options": {}}
        answers: dict[str, Any] = {"/networks": [named, other]}
        host.engine(host.dockerd("run/docker.sock", **answers))

        facts = host.look()

        assert facts.addresses == ("10.1.0.5", "172.20.0.1", "10.2.0.5", "10.3.0.5")
        assert facts.bridges == ("172.21.0.1/24", "172.22.0.1/24")


def test_nothing_of_this_machine_speaks_for_the_host(host: Surveyed) -> None:
    facts = host.look()

    assert facts.init == "systemd"
    assert not re.search("docker|podman", " ".join(facts.tools))
