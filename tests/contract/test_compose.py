"""What the real Compose makes of stacks' files, and what the real docker client takes of that for a Swarm."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.client import compose_plugin, docker_cli
from pymachine.errors import CheckFailed
from pymachine.fleet.apply.compose import Composed, resolve, without_compose
from pymachine.fleet.apply.stack_document import stack_document
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.inventory.model import StackSpec
from pymachine.fleet.plan import Unresolved, Why

WEB = "services: {web: {image: busybox}}\n"


@dataclass
class Desk:
    """A folder with files of stacks, and a computer with a docker client. ``environ`` is that of its user's shell."""

    folder: Path
    environ: dict[str, str]

    def write(self, name: str, text: str) -> str:
        """Write a file beside the others and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def stack(self, text: str = WEB, *more: str, on: str | None = None, **given: Any) -> StackSpec:
        """Return a stack called shop of one or several Compose files."""
        files = [self.write(f"{number}.yaml", one) for number, one in enumerate((text, *more))]
        return StackSpec("shop", tuple(files), on, **given)

    @property
    def computer(self) -> Computer:
        """The computer with this environment."""
        return Computer(self.environ)

    def resolved(self, stack: StackSpec) -> Composed:
        """Resolve a stack that can be."""
        found = resolve(stack, self.computer)
        assert isinstance(found, Composed), found
        return found

    def unresolved(self, stack: StackSpec) -> Unresolved:
        """Resolve a stack that cannot be."""
        found = resolve(stack, self.computer)
        assert isinstance(found, Unresolved)
        return found

    def digest(self, stack: StackSpec) -> str:
        """Return the digest of a stack."""
        return self.resolved(stack).digest(stack)

    def taken(self, stack: StackSpec, **files: str) -> dict[str, Any]:
        """Return the services as the docker client takes them for a Swarm."""
        document = stack_document(self.resolved(stack).document, stack.name, files)
        told = subprocess.run(
            ["docker", "stack", "config", "-c", "-"], input=json.dumps(document).encode(), capture_output=True,
            check=False, timeout=60, env=self.environ,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr.decode()
        services: dict[str, Any] = yaml.safe_load(told.stdout)["services"]
        return services


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    config = tmp_path / "config"
    compose_plugin(config)
    place = str(docker_cli().parent)
    (tmp_path / "files").mkdir()
    environ = {"PATH": f"{place}:{os.environ['PATH']}", "HOME": str(tmp_path), "DOCKER_CONFIG": str(config)}
    return Desk(tmp_path / "files", environ)


def environment(found: Composed) -> dict[str, str]:
    values: dict[str, str] = found.document["services"]["web"]["environment"]
    return values


def test_compose_that_is_there_is_known(desk: Desk) -> None:
    assert without_compose(desk.computer) is None


def test_a_client_without_compose_and_no_client_are_told_apart(desk: Desk) -> None:
    (Path(desk.environ["DOCKER_CONFIG"]) / "cli-plugins/docker-compose").unlink()
    bare = desk.unresolved(desk.stack())
    if bare.why is Why.NO_COMPOSE:  # a computer may have the plugin for all of its users
        assert "Compose" in bare.message
    desk.environ["PATH"] = "/nowhere"
    assert desk.unresolved(desk.stack()).why is Why.NO_CLIENT


def test_a_compose_that_cannot_be_asked_is_not_taken_for_none(desk: Desk) -> None:
    program = Path(desk.write("bin/docker", "#!/bin/sh\necho 'services: {'\n"))
    program.chmod(0o755)
    desk.environ["PATH"] = f"{program.parent}:/usr/bin:/bin"
    assert desk.unresolved(desk.stack()).why is Why.NOT_ASKED


def test_files_of_variables_are_read_as_compose_reads_them(desk: Desk) -> None:
    text = '\ufeffTOKEN="x" # note\nREF=${TOKEN}-1\nMANY="a\nb"\nTAB="c\\td"\nRAW=\'$5 \\t\'\nexport E=1\n'
    path = desk.write("web.env", text)
    found = desk.resolved(desk.stack("services: {web: {image: a, env_file: web.env}}"))
    values = {"TOKEN": "x", "REF": "x-1", "MANY": "a\nb", "TAB": "c\td", "RAW": "$$5 \\t", "E": "1"}
    assert environment(found) == values
    wanted = ", ".join(f"{name}: '${{{name}}}'" for name in values)
    assert environment(desk.resolved(desk.stack(f"services: {{web: {{image: a, environment: {{{wanted}}}}}}}",
                                                env_files=(path,)))) == values  # fmt: skip


def test_reset_and_override_are_understood(desk: Desk) -> None:
    base = "services: {web: {image: a, ports: ['80:80'], command: [one]}}"
    found = desk.resolved(desk.stack(base, "services: {web: {ports: !reset [], command: !override [two]}}"))
    assert "ports" not in found.document["services"]["web"]
    assert found.document["services"]["web"]["command"] == ["two"]


@pytest.mark.parametrize("text", ["a b", '"', "'", "$5 ${A}", "\\n\\", "a\nb", "# no", " x ", "é", ""])
def test_values_of_the_inventory_arrive_as_they_are(desk: Desk, text: str) -> None:
    desk.environ["TOKEN"] = "of the shell"
    given = desk.stack("services: {web: {image: a, environment: {T: '${TOKEN}'}}}", environment={"TOKEN": text})
    assert environment(desk.resolved(given))["T"].replace("$$", "$") == text


def test_variables_of_a_stack_do_not_reach_the_client_itself(desk: Desk) -> None:
    """A client that went by them would find neither its programs nor the machine."""
    program = Path(desk.write("bin/docker", f'#!/bin/sh\nenv > {desk.folder}/seen\nexec {docker_cli()} "$@"\n'))
    program.chmod(0o755)
    desk.environ["PATH"] = f"{program.parent}:{desk.environ['PATH']}"
    path = desk.write("shop.env", "PATH=/evil\nHTTPS_PROXY=http://evil\nDOCKER_HOST=tcp://evil\nLD_PRELOAD=evil.so\n")
    text = "services: {web: {image: a, environment: {P: '${HTTPS_PROXY}', L: '${LD_PRELOAD}'}}}"
    found = desk.resolved(desk.stack(text, env_files=(path,), environment={"ALL_PROXY": "evil", "TAG": "1"}))
    assert environment(found) == {"P": "http://evil", "L": "evil.so"}
    assert "evil" not in (desk.folder / "seen").read_text()
    assert "TAG" not in (desk.folder / "seen").read_text()


def test_a_variable_without_a_value_is_found_before_anything_is_done(desk: Desk) -> None:
    found = desk.unresolved(desk.stack("services: {web: {image: 'a:${TAG}'}}"))
    assert found.why is Why.REFUSED
    assert "stack shop uses TAG" in found.message
    assert desk.unresolved(desk.stack("services: {web: {image: 'a:${TAG:?which one}'}}")).message.endswith(
        "which one"
    )
    assert desk.resolved(desk.stack("services: {web: {image: 'a:${TAG:-1}${X-}'}}"))


def test_the_file_of_variables_beside_the_compose_file_counts(desk: Desk) -> None:
    desk.write(".env", "TAG=2\n")
    shop = desk.stack("services: {web: {image: 'a:${TAG}'}}")
    for given in (shop, replace(shop, environment={"OTHER": "1"})):
        assert desk.resolved(given).document["services"]["web"]["image"] == "a:2"


def test_what_is_no_compose_file_is_refused_in_the_words_of_compose(desk: Desk) -> None:
    found = desk.unresolved(desk.stack("services: {web: {imagine: a}}"))
    assert found.why is Why.REFUSED
    assert "imagine" in found.message
    assert desk.unresolved(desk.stack("services: [\n")).why is Why.REFUSED


def test_aliases_of_aliases_never_reach_compose(desk: Desk) -> None:
    bomb = "x0: &x0 [a, a]\n" + "".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 40))
    for text in (bomb + WEB, f"{WEB}---\n{bomb}", f"{bomb}services: {{web: {{ports: !reset []}}}}\n"):
        found = desk.unresolved(desk.stack(text))
        assert found.why is Why.REFUSED
        assert " 2,097,152 values" in found.message


@pytest.mark.parametrize(
    ("text", "name", "before", "after"),
    [
        ("services: {web: {image: a, env_file: web.env}}", "web.env", "A=1\n", "A=2\n"),
        ("services: {web: {extends: {file: base.yaml, service: b}}}", "base.yaml", "services: {b: {image: a}}",
         "services: {b: {image: c}}"),
        ("include: [more.yaml]\nservices: {web: {image: a}}", "more.yaml", "services: {b: {image: a}}",
         "services: {b: {image: c}}"),
        ("services: {web: {image: a, configs: [c]}}\nconfigs: {c: {file: './${STAGE}.conf'}}", "prod.conf", "1", "2"),
        ("services: {web: {image: a, secrets: [s]}}\nsecrets: {s: {file: key}}", "key", "1", "2"),
        ("services: {web: {image: 'a:${TAG}'}}", ".env", "TAG=1\n", "TAG=2\n"),
    ],
    ids=["env_file", "extends", "include", "interpolated name", "secret", "dot env"],
)  # fmt: skip
def test_a_change_behind_a_file_is_another_digest(desk: Desk, text: str, name: str, before: str, after: str) -> None:
    desk.environ["STAGE"] = "prod"
    desk.write(name, before)
    shop = desk.stack(text)
    first = desk.digest(shop)
    assert desk.digest(shop) == first
    desk.write(name, after)
    assert desk.digest(shop) != first


def test_the_digest_covers_what_the_inventory_says(desk: Desk) -> None:
    shop = desk.stack("services: {web: {image: 'a:${TAG-}'}}")
    variants = [shop, replace(shop, prune=False), replace(shop, build=False), replace(shop, environment={"TAG": "1"})]
    assert len({desk.digest(variant) for variant in variants}) == len(variants)


def test_a_secret_that_is_a_variable_is_part_of_the_digest(desk: Desk) -> None:
    text = "services: {web: {image: a, secrets: [s]}}\nsecrets: {s: {environment: KEY}}"
    one = desk.resolved(desk.stack(text, environment={"KEY": 'a$b"\n'}))
    assert one.contents == {"secrets.s": b'a$b"\n'}
    assert "KEY" in desk.unresolved(desk.stack(text)).message


def test_a_file_that_is_missing_is_named(desk: Desk) -> None:
    found = desk.unresolved(desk.stack("services: {web: {image: a, configs: [c]}}\nconfigs: {c: {file: gone.conf}}"))
    assert "gone.conf: " in found.message


RICH = """
name: other
services:
  web:
    image: busybox
    container_name: web
    ports: ["8080:80", "5000", {target: 81, published: 81, mode: host}]
    depends_on: {db: {condition: service_started}}
    environment: {A: x$$y, NOT_SET: }
    extra_hosts: ["a:192.0.2.1", "b:2001:db8::1"]
    volumes: ["data:/data", "/etc:/e:ro", {type: tmpfs, target: /t, tmpfs: {size: 1000}}]
    configs: [{source: c, target: /c, mode: 0440}]
    secrets: [s]
    healthcheck: {test: ["CMD", "true"], interval: 1m30s}
    devices: ["/dev/null:/dev/zero"]
    ulimits: {nofile: {soft: 1, hard: 2}}
    tmpfs: /run
    init: true
    shm_size: 64m
    stop_grace_period: 10s
    deploy:
      replicas: 2
      resources: {limits: {cpus: 0.5, memory: 50M, pids: 5}, reservations: {cpus: 0.1}}
      update_config: {delay: 10s, order: start-first}
  db: {build: .}
  debug: {image: busybox, profiles: [debug]}
volumes: {data: {}}
networks: {default: {driver: overlay, attachable: true, ipam: {config: [{subnet: 10.9.0.0/24}]}}}
configs: {c: {content: hello}}
secrets: {s: {file: key}}
"""


def test_what_compose_resolves_is_made_fit_for_a_swarm(desk: Desk) -> None:
    desk.write("key", "hush")
    found = desk.taken(desk.stack(RICH), **{"configs.c": "/private/0"})
    assert sorted(found) == ["db", "web"]
    assert found["db"]["image"] == "shop-db"
    web = found["web"]
    assert web["environment"] == {"A": "x$$y"} or web["environment"] == {"A": "x$y"}
    assert [port.get("published") for port in web["ports"]] == [8080, None, 81]
    assert web["depends_on"] == ["db"]
    assert web["extra_hosts"] == ["a:192.0.2.1", "b:2001:db8::1"]
    assert web["configs"][0]["mode"] == 0o440
    assert web["deploy"]["resources"]["limits"] == {"cpus": "0.5", "memory": "52428800", "pids": 5}


def test_newer_parts_of_the_format_say_so(desk: Desk) -> None:
    text = "services: {web: {image: a, healthcheck: {test: [CMD, 'true'], interval: 9s, start_interval: 5s}}}"
    assert stack_document(desk.resolved(desk.stack(text)).document, "shop", {})["version"] == "3.13"
    assert desk.taken(desk.stack(text))["web"]["healthcheck"]["start_interval"] == "5s"


def test_a_port_for_one_address_is_not_opened_on_all(desk: Desk) -> None:
    document = desk.resolved(desk.stack("services: {web: {image: a, ports: ['127.0.0.1:80:80']}}")).document
    with pytest.raises(CheckFailed, match=r"publishes port 80 on 127\.0\.0\.1 only"):
        stack_document(document, "shop", {})


PLAIN = "services: {web: {image: 'a:${TAG}'}}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (PLAIN, ["TAG"]),
        (
            "services: {web: {image: 'a:$TAG', environment: {A: '${ONE}', B: '${TWO-}', C: '${THREE:-x}'}}}",
            ["ONE", "TAG"],
        ),
        ("services: {web: {image: 'a:${TAG}${TAG-x}'}}", ["TAG"]),
        ("services: {web: {image: a, environment: {A: '$$TAG $${TAG}', B: '${H:+yes}'}}}", []),
        ("version: '3'\nservices: {web: {image: 'a:${TAG-}'}}", []),
        (
            "version: '3'\nservices: {web: {image: 'a:${TAG}', environment: {A: '${A}', B: '${B}', C: '${C}'}}}",
            [*"ABC", "TAG"],
        ),
        (
            "services: {web: {image: a, ports: ['${P-80}:80'], scale: '${N:-2}', labels: {l: '${TAG}'}}}",
            ["TAG"],
        ),
        ("services: {web: {image: a, labels: {x: '${H:+yes}', y: '${H}'}}}", ["H"]),
        ("services: {web: {image: a, labels: {l: 'value: ${A:-${TAG}}'}}}", ["TAG"]),
    ],
)
def test_variables_without_a_value_are_named(desk: Desk, text: str, names: list[str]) -> None:
    stack = desk.stack(text)
    if not names:
        desk.resolved(stack)
        return
    found = desk.unresolved(stack)
    assert (found.why, found.message.partition(" uses ")[2].partition(", which")[0]) == (
        Why.REFUSED,
        ", ".join(names),
    )


@pytest.mark.parametrize("shell", ["", "1"])
def test_a_variable_that_is_set_has_a_value_though_it_is_empty(desk: Desk, shell: str) -> None:
    desk.environ["TAG"] = shell
    desk.resolved(desk.stack(PLAIN))
    del desk.environ["TAG"]
    desk.resolved(desk.stack(PLAIN, environment={"TAG": shell}))
    desk.write(".env", f"TAG={shell}\n")
    desk.resolved(desk.stack(f"version: '3'\n{PLAIN}"))


def test_variables_of_included_and_extended_files_count(desk: Desk) -> None:
    desk.write("base.yaml", "services: {base: {image: 'b:${BASE}'}}")
    desk.write("more.yaml", "services: {more: {image: 'm:${MORE}'}}")
    found = desk.unresolved(
        desk.stack("include: [more.yaml]\nservices: {web: {extends: {file: base.yaml, service: base}}}")
    )
    assert "BASE" in found.message
    assert "MORE" in found.message


def test_variables_in_files_of_variables_need_a_value_too(desk: Desk) -> None:
    desk.write("web.env", "V=${NOPE}\n")
    found = desk.unresolved(desk.stack("services: {web: {image: a, env_file: web.env}}"))
    assert found.why is Why.REFUSED
    path = desk.write("shop.env", "TAG=${NOPE}\n")
    assert desk.unresolved(desk.stack(PLAIN, env_files=(path,))).why is Why.REFUSED
    desk.write(".env", "TAG=${NOPE}\n")
    assert desk.unresolved(desk.stack(PLAIN)).why is Why.REFUSED


def test_a_compose_that_cannot_say_which_variables_there_are_is_not_taken_for_content(desk: Desk) -> None:
    """Before 2.27 there was no --variables."""
    program = desk.folder / "bin/docker"
    desk.write(
        "bin/docker",
        f'#!/bin/sh\ncase "$*" in *--variables*) echo "unknown flag" >&2; exit 1;; esac\nexec {docker_cli()} "$@"\n',
    )
    program.chmod(0o755)
    desk.environ["PATH"] = f"{program.parent}:{desk.environ['PATH']}"
    assert desk.unresolved(desk.stack(PLAIN)).why is Why.NOT_ASKED
    desk.resolved(desk.stack("services: {web: {image: a}}"))


def test_warnings_of_the_client_itself_are_not_of_the_stack(desk: Desk) -> None:
    program = desk.folder / "bin/docker"
    desk.write(
        "bin/docker", f'#!/bin/sh\necho "WARNING: The \\"X\\" variable is not set" >&2\nexec {docker_cli()} "$@"\n'
    )
    program.chmod(0o755)
    desk.environ["PATH"] = f"{program.parent}:{desk.environ['PATH']}"
    desk.resolved(desk.stack("services: {web: {image: a}}"))
    assert "TAG" in desk.unresolved(desk.stack(PLAIN)).message
