"""The environment of the docker client."""

from __future__ import annotations

from pymachine.docker_environ import docker_environ


def test_the_docker_client_sees_its_machine_and_no_other() -> None:
    environ = {"DOCKER_CONTEXT": "other", "DOCKER_TLS_VERIFY": "1", "HOME": "/h"}
    values = [("DOCKER_HOST", "tcp://a:1"), ("DOCKER_TLS_VERIFY", None), ("DOCKER_CONTEXT", None)]
    assert docker_environ(environ, values) == {"HOME": "/h", "DOCKER_HOST": "tcp://a:1"}


def test_no_proxy_of_the_shell_stands_between_the_docker_client_and_a_machine() -> None:
    pairs = [("DOCKER_HOST", "tcp://192.0.2.7:2376"), ("DOCKER_CONTEXT", None)]
    environ = {"https_proxy": "http://proxy:3128", "NO_PROXY": "a", "DOCKER_CONTEXT": "x"}
    assert docker_environ(environ, pairs, host="192.0.2.7") == {
        "https_proxy": "http://proxy:3128", "NO_PROXY": "a,192.0.2.7", "DOCKER_HOST": "tcp://192.0.2.7:2376",
    }  # fmt: skip
    assert docker_environ({"A": "1"}, pairs, host="192.0.2.7") == {"A": "1", "DOCKER_HOST": "tcp://192.0.2.7:2376"}
