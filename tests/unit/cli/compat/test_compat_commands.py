"""Commands under the name docker-machine that change machines, or start programs of this computer."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pymachine.cli import compat, main
from pymachine.cli.dependencies import Wiring
from pymachine.errors import CheckFailed, Unreachable
from pymachine.model import Endpoint, Machine, Phase, SshAddress, State
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_transport import done
from unit.world import World

KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"
Run = Callable[..., int]


class Started:
    """The command lines that took the place of the program."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = []

    def __call__(self, program: str, words: Sequence[str], environ: Mapping[str, str]) -> None:
        self.lines.append(list(words))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def asker() -> FakeAsker:
    return FakeAsker(yes=True)


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def run(store: SqliteStore, cloud_world: World, asker: FakeAsker, started: Started) -> Run:
    """Run a command line, by default under the name docker-machine, in a world with a cloud of virtual machines."""
    tools = cloud_world.tools
    wiring = Wiring(
        reporter=tools.reporter, asker=asker, connect=tools.connect, ask_engine=tools.ask_engine,
        load_driver=tools.load_driver, driver_names=lambda: ["fake"], now=tools.now, clock=tools.clock,
        replace=started,
    )  # fmt: skip

    def in_world(*words: str, ours: bool = False) -> int:
        line = ["-s", str(store.folder), *words]
        return main(line, wiring=wiring) if ours else compat.main(line, wiring=wiring)

    return in_world


def known(store: SqliteStore, name: str = "node1", host: str = "192.0.2.7") -> Machine:
    ssh = SshAddress(host, 22, host_key=KEY_LINE)
    return store.put(Machine(name, f"id-of-{name}", "fake", Phase.READY, ssh=ssh, endpoint=Endpoint(host)))


class TestRegenerateCerts:
    @pytest.mark.parametrize(
        ("flags", "changed"),
        [
            (["-f"], {"server.pem", "server-key.pem"}),
            (["-force=true", "-client-certs"], {"server.pem", "server-key.pem", "cert.pem", "key.pem"}),
            ([], {"server.pem", "server-key.pem"}),
        ],
    )
    def test_the_authority_signs_again(
        self, flags: list[str], changed: set[str], run: Run, store: SqliteStore, asker: FakeAsker
    ) -> None:
        assert run("create", "-driver", "fake", "node1") == 0
        before = store.secrets("node1")
        assert run("regenerate-certs", *flags, "node1") == 0
        after = store.secrets("node1")
        assert {name for name in after if after[name] != before[name]} == changed
        assert len(asker.asked) == (0 if flags else 1)

    def test_a_no_changes_nothing(self, run: Run, store: SqliteStore, asker: FakeAsker) -> None:
        run("create", "-d", "fake", "node1")
        before, asker._yes = store.secrets("node1"), False
        assert run("regenerate-certs", "node1") == 0
        assert store.secrets("node1") == before


def test_a_machine_that_is_off_is_powered_on_and_upgraded(run: Run, cloud_world: World, store: SqliteStore) -> None:
    run("create", "-d", "fake", "node1")
    cloud_world.carries(store.get("node1").id)
    assert run("stop", "node1") == 0
    cloud_world.engine.errors.append(Unreachable("it is off"))
    cloud_world.cloud.calls.clear()
    run("upgrade", "node1")
    assert [call for call in cloud_world.cloud.calls if call == "start"] == ["start"]
    assert list(cloud_world.cloud.hosts().values()) == [State.RUNNING]


def test_the_driver_is_a_label_of_the_engine(run: Run, store: SqliteStore) -> None:
    run("create", "-d", "fake", "-engine-label", "a=b", "node1")
    assert store.get("node1").engine.labels == ("a=b", "provider=fake")
    run("create", "-d=fake", "--engine-label=provider=mine", "node2")
    assert store.get("node2").engine.labels == ("provider=mine",)


class TestExitCodes:
    def test_a_check_that_refuses_a_create_is_3(self, run: Run, cloud_world: World) -> None:
        cloud_world.cloud.fail("check", CheckFailed("no room"))
        assert run("create", "-d", "fake", "node1") == 3

    @pytest.mark.parametrize(
        "words",
        ["inspect nobody", "create -d fake node1", "create -d fake", "ls -foo", "create -d fake ..", "nothing", "rm",
         "rm nobody", "active too many", "env -u node1"],
    )  # fmt: skip
    def test_all_other_errors_are_1(self, words: str, run: Run, store: SqliteStore) -> None:
        known(store)
        assert run(*words.split()) == 1

    @pytest.mark.parametrize(
        "words", ["-v", "", "help", "help create", "version", "create --help", "ls -help", "rm -f nobody"]
    )
    def test_what_is_no_error_is_0(self, words: str, run: Run) -> None:
        assert run(*words.split()) == 0


class TestMount:
    @pytest.mark.parametrize("ours", [True, False])
    def test_sshfs_reaches_the_machine_as_ssh_does(
        self, ours: bool, run: Run, store: SqliteStore, started: Started, tmp_path: Path
    ) -> None:
        known(store, host="2001:db8::7")
        assert run("mount", "ann@node1:/var/log", str(tmp_path), ours=ours) == 0
        ((*words, place, mountpoint),) = started.lines
        assert words == ["sshfs", "-F", str(store.folder / "ssh/id-of-node1.conf")]
        assert (place, mountpoint) == ("ann@[2001:db8::7]:/var/log", str(tmp_path))

    def test_a_path_alone_is_of_the_machine_called_default_and_of_this_computer(
        self, run: Run, store: SqliteStore, started: Started, tmp_path: Path
    ) -> None:
        known(store, "default")
        assert run("mount", str(tmp_path)) == 0
        assert started.lines[0][-2:] == [f"192.0.2.7:{tmp_path}", str(tmp_path)]

    def test_a_mountpoint_that_is_missing_is_refused(self, run: Run, store: SqliteStore, started: Started) -> None:
        known(store)
        assert run("mount", "node1:/nowhere/at/all") == 1
        assert started.lines == []

    def test_the_folder_is_unmounted_without_the_machine(self, run: Run, started: Started, tmp_path: Path) -> None:
        assert run("mount", "-u", "gone:/var/log", str(tmp_path)) == 0
        assert started.lines[0][-3:] == ["-u", "--", str(tmp_path)]


def test_scp_with_delta_is_rsync(run: Run, store: SqliteStore, started: Started) -> None:
    known(store)
    assert run("scp", "-r", "-d", "-q", "node1:/a", "b") == 0
    assert started.lines[0][0] == "rsync"
    assert started.lines[0][4:] == ["-r", "-q", "--", "192.0.2.7:/a", "./b"]
    known(store, "node2", "192.0.2.8")
    assert run("scp", "-d", "node1:/a", "node2:/b") == 1


@pytest.mark.parametrize("flag", [[], ["-native-ssh"]])
def test_ssh_is_that_of_this_computer_unless_the_built_in_client_is_asked_for(
    flag: list[str],
    run: Run,
    store: SqliteStore,
    started: Started,
    cloud_world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    known(store)
    cloud_world.answer(lambda command: "echo hello" in command.shell(), done("hello\n", code=3))
    code = run(*flag, "ssh", "node1", "echo hello")
    assert (len(started.lines), code) == ((0, 3) if flag else (1, 0))


@pytest.mark.parametrize(
    ("answer", "there"), [("y\n", False), ("yes\n", False), ("n\n", True), ("", True), ("\n", True)]
)
def test_an_answer_on_standard_input_counts(
    answer: str, there: bool, store: SqliteStore, cloud_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = cloud_world.tools
    wiring = Wiring(
        reporter=tools.reporter, connect=tools.connect, ask_engine=tools.ask_engine, load_driver=tools.load_driver,
        now=tools.now, clock=tools.clock,
    )  # fmt: skip
    start = ["-s", str(store.folder)]
    assert compat.main([*start, "create", "-d", "fake", "node1"], wiring=wiring) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert compat.main([*start, "rm", "node1"], wiring=wiring) == 0
    assert (store.find("node1") is not None) == there
