"""Which values the real Compose gives to a stack's variables, and how many replicas its files ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.test_compose import Desk, desk, environment
from lab.debs import unpacked
from pymachine.fleet.plan import Why
from pymachine.swarm_api.services import Replicas

__all__ = ["desk"]  # a fixture


def test_variables_that_only_look_like_the_clients_own_are_the_stacks(desk: Desk) -> None:
    desk.environ["DOCKER_TAG"] = "of the shell"
    given = desk.stack(
        "services: {web: {image: a, environment: {T: '${DOCKER_TAG}'}}}", environment={"DOCKER_TAG": "1"}
    )
    assert environment(desk.resolved(given)) == {"T": "1"}


@pytest.mark.parametrize(
    ("text", "on", "refused"),
    [
        ("${HOME}", None, True),
        ("${PATH}", None, True),
        ("${DOCKER_HOST}", "m", True),
        ("${DOCKER_HOST}", None, False),
    ],
)
def test_a_stack_that_uses_a_variable_of_the_client_itself_is_refused(
    desk: Desk, text: str, on: str | None, refused: bool
) -> None:
    """Its files would get the client's value and not that of the inventory."""
    desk.environ.pop("DOCKER_HOST", None)
    name = text.strip("${}")
    given = desk.stack(
        f"services: {{web: {{image: a, environment: {{T: '{text}'}}}}}}", on=on, environment={name: "/x"}
    )
    if refused:
        found = desk.unresolved(given)
        assert found.why is Why.REFUSED
        assert name in found.message
    else:
        assert environment(desk.resolved(given)) == {"T": "/x"}
    assert desk.resolved(desk.stack("services: {web: {image: a}}", on=on, environment={name: "/x"}))


@pytest.mark.parametrize("environ", [{"COMPOSE_DISABLE_ENV_FILE": "1"}, {"COMPOSE_ENV_FILES": "other.env"}, {}])
def test_which_files_of_variables_are_read_does_not_depend_on_the_inventory(
    desk: Desk, environ: dict[str, str]
) -> None:
    desk.write(".env", "TAG=beside\n")
    desk.write("other.env", "TAG=other\n")
    desk.environ |= environ
    shop = desk.stack("services: {web: {image: 'a:${TAG-none}'}}")
    image = desk.resolved(shop).document["services"]["web"]["image"]
    assert image == {"COMPOSE_DISABLE_ENV_FILE": "a:none", "COMPOSE_ENV_FILES": "a:other"}.get(
        next(iter(environ), ""), "a:beside"
    )
    assert desk.resolved(replace(shop, environment={"A": "b"})).document["services"]["web"]["image"] == image


@pytest.fixture
def old(desk: Desk) -> Desk:
    """Compose 2.26, which has neither --no-env-resolution nor --variables as JSON."""
    program = unpacked("trixie", "docker-compose") / "usr/libexec/docker/cli-plugins/docker-compose"
    plugin = desk.folder / "config/cli-plugins/docker-compose"
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to(program)
    desk.environ["DOCKER_CONFIG"] = str(plugin.parent.parent)
    return desk


OBSOLETE = "version: '3.8'\n"


@pytest.mark.parametrize("text", ["{web: {image: 'a:${TAG-1}'}}", "{web: {image: a, ports: ['${PORT:-80}:80']}}"])
def test_an_obsolete_part_is_no_variable_without_a_value(desk: Desk, text: str) -> None:
    assert desk.resolved(desk.stack(f"{OBSOLETE}services: {text}"))
    assert "TAG" in desk.unresolved(desk.stack(f"{OBSOLETE}services: {{web: {{image: 'a:${{TAG}}'}}}}")).message


def test_an_obsolete_part_is_none_for_an_older_compose_either(old: Desk) -> None:
    assert old.resolved(old.stack(f"{OBSOLETE}services: {{web: {{image: 'a:${{TAG-1}}'}}}}"))
    assert old.unresolved(old.stack(f"{OBSOLETE}services: {{web: {{image: 'a:${{TAG}}'}}}}")).why is Why.NOT_ASKED
    old.write("web.env", "V=${NOPE}\n")
    found = old.unresolved(old.stack(f"{OBSOLETE}services: {{web: {{image: a, env_file: web.env}}}}"))
    assert found.why is Why.NOT_ASKED


def test_services_are_counted_as_their_files_say(desk: Desk) -> None:
    text = (
        "services: {a: {image: x}, b: {image: x, deploy: {replicas: 0}}, c: {image: x, deploy: {mode: global}},"
        " d: {image: x, deploy: {replicas: '${N:-4}'}}, e: {image: x, deploy: {mode: replicated-job, replicas: 2}}}"
    )
    shop = desk.stack(text)
    assert desk.resolved(shop).services(shop) == {
        "shop_a": Replicas(1), "shop_b": Replicas(0, 0), "shop_c": Replicas(0), "shop_d": Replicas(4, 4),
        "shop_e": Replicas(2, 2),
    }  # fmt: skip
    alone = desk.stack("services: {a: {image: x, scale: 3}, b: {image: x, scale: 0}, c: {image: x}}", on="m")
    assert desk.resolved(alone).services(alone) == {"a": Replicas(3, 3), "c": Replicas(1)}


def test_dollar_signs_stay_as_many_as_they_are(desk: Desk) -> None:
    text = "services: {web: {image: a, labels: {'k$$1': 'v$$1'}, command: [echo, $$HOME], environment: {E: '$$x'}}}"
    service = desk.taken(desk.stack(text))["web"]
    assert service["labels"] == {"k$$1": "v$1"}  # a key is not interpolated
    assert (service["command"], service["environment"]) == (["echo", "$HOME"], {"E": "$x"})
