"""What a Docker beginner's course does, with the real client over TLS, on a machine of ours."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.workstation import Workstation

pytestmark = pytest.mark.lab

DOCKERFILE = """\
FROM {registry}/busybox:latest
LABEL org.example.course="docker for beginners" stage=first
ENV GREETING=hello
ENV PLACE the world
WORKDIR /app
COPY greet.sh .
ADD parts.tar.gz /app/parts/
RUN chmod +x greet.sh && adduser -D -u 1234 student && chown -R student /app
EXPOSE 8080
VOLUME /data
USER student
CMD ["./greet.sh"]
"""

GREET = '#!/bin/sh\necho "$GREETING $PLACE from $(id -un) in $(pwd), $(cat parts/one.txt)"\n'

COMPOSE = """\
services:
  web:
    build: ./web
    environment:
      STORE: store
    depends_on: [store]
  store:
    image: {registry}/redis:alpine
"""

WEB = """\
FROM {registry}/busybox:latest
COPY index.html /www/
EXPOSE 80
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
"""

Docker = Callable[..., str]


@pytest.fixture(scope="module")
def docker(course_machine: tuple[Workstation, str]) -> Docker:
    """The client on the course's machine; returns standard output without the last line end."""
    workstation, name = course_machine

    def run(*words: str, **options: object) -> str:
        return workstation.docker(name, *words, **options).stdout.rstrip("\n")  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def image(docker: Docker, registry_address: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image built from a Dockerfile with every instruction of the course."""
    folder = tmp_path_factory.mktemp("greet")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(registry=registry_address))
    (folder / "greet.sh").write_text(GREET)
    _pack(folder / "parts.tar.gz", "one.txt", b"part one")
    docker("build", "-t", "greet:v1", ".", cwd=folder)
    return "greet:v1"


def test_info_names_the_machine_and_its_driver(docker: Docker, course_machine: tuple[Workstation, str]) -> None:
    info = json.loads(docker("info", "--format", "{{json .}}"))
    assert info["Name"] == course_machine[1]
    assert "provider=ssh" in info["Labels"]


def test_pull_images_and_rmi(docker: Docker, registry_address: str) -> None:
    name = f"{registry_address}/busybox:latest"
    docker("pull", name)
    docker("tag", name, "mine:v1")
    listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    assert name in listed
    assert "mine:v1" in listed
    docker("rmi", "mine:v1")
    assert "mine:v1" not in docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()


def test_a_container_through_its_whole_life(docker: Docker, registry_address: str) -> None:
    image = f"{registry_address}/busybox:latest"
    docker("run", "-d", "--name", "life", image, "sh", "-c", "echo born; sleep 1000")
    assert "life" in docker("ps", "--format", "{{.Names}}").splitlines()
    assert docker("logs", "life") == "born"
    assert docker("exec", "life", "sh", "-c", "echo $((6 * 7))") == "42"
    docker("stop", "-t", "1", "life")
    assert "life" not in docker("ps", "--format", "{{.Names}}").splitlines()
    assert "life" in docker("ps", "-a", "--format", "{{.Names}}").splitlines()
    docker("start", "life")
    docker("restart", "-t", "1", "life")
    assert docker("logs", "life").splitlines() == ["born"] * 3
    docker("rm", "-f", "life")
    assert "life" not in docker("ps", "-a", "--format", "{{.Names}}").splitlines()


def test_run_hands_on_input_output_and_exit_code(
    course_machine: tuple[Workstation, str], registry_address: str
) -> None:
    workstation, name = course_machine
    image = f"{registry_address}/busybox:latest"
    ended = workstation.docker(
        name, "run", "--rm", "-i", image, "sh", "-c", "cat; exit 7", stdin="piped through\n", check=7
    )
    assert ended.stdout == "piped through\n"


def test_attach_streams_until_the_container_ends(docker: Docker, registry_address: str) -> None:
    image = f"{registry_address}/busybox:latest"
    docker("run", "-d", "--name", "talker", image, "sh", "-c", "sleep 3; echo last words")
    assert docker("attach", "talker") == "last words"
    docker("rm", "talker")


def test_a_dockerfile_of_every_instruction_runs_as_written(docker: Docker, image: str) -> None:
    assert docker("run", "--rm", image) == "hello the world from student in /app, part one"
    config = json.loads(docker("inspect", image))[0]["Config"]
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert config["Volumes"] == {"/data": {}}
    assert config["User"] == "student"
    assert config["Labels"]["org.example.course"] == "docker for beginners"


def test_a_compose_project_of_two_services(
    compose: Callable[..., str], docker: Docker, registry_address: str, tmp_path: Path
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/Dockerfile").write_text(WEB.format(registry=registry_address))
    (tmp_path / "web/index.html").write_text("course page\n")
    (tmp_path / "compose.yaml").write_text(COMPOSE.format(registry=registry_address))

    compose(tmp_path, "pull", "store")
    compose(tmp_path, "up", "-d")
    assert _running(compose, tmp_path) == ["store", "web"]
    assert compose(tmp_path, "exec", "-T", "web", "wget", "-qO-", "http://localhost/") == "course page"
    assert compose(tmp_path, "run", "--rm", "-T", "web", "sh", "-c", "echo $STORE").splitlines()[-1] == "store"
    assert "ready" in compose(tmp_path, "logs", "store")
    compose(tmp_path, "stop", "-t", "1")
    assert _running(compose, tmp_path) == []
    compose(tmp_path, "start")
    compose(tmp_path, "restart", "-t", "1", "web")
    assert _running(compose, tmp_path) == ["store", "web"]
    compose(tmp_path, "up", "-d", "--scale", "web=3")
    assert _running(compose, tmp_path) == ["store", "web", "web", "web"]
    compose(tmp_path, "rm", "-s", "-f", "store")
    assert _running(compose, tmp_path) == ["web", "web", "web"]
    compose(tmp_path, "down", "-t", "1")
    assert docker("ps", "-a", "--filter", f"label=com.docker.compose.project={tmp_path.name}", "-q") == ""


def _running(compose: Callable[..., str], folder: Path, patience: float = 20) -> list[str]:
    """The services of the running containers, once the number stands still."""
    end, last = time.monotonic() + patience, ["?"]
    while time.monotonic() < end:
        now = sorted(compose(folder, "ps", "--format", "{{.Service}}").split())
        if now == last:
            return now
        last = now
        time.sleep(0.5)
    return last


def _pack(archive: Path, name: str, content: bytes) -> None:

    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
