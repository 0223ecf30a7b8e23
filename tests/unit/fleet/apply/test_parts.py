"""The parts of apply: shared connections, selection, logs, stacks' files, programs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from patience import AGES, LIMIT, gives_up
from pymachine.errors import DeadlineExceeded, Interrupted, PymachineError, Unreachable, UsageFault
from pymachine.events import Asker
from pymachine.fleet.apply.connections import STARTS, Connections
from pymachine.fleet.apply.logs import Logs, Watched
from pymachine.fleet.apply.selectors import limited, selected
from pymachine.fleet.apply.subprocesses import run_program
from pymachine.fleet.plan import Action, Chain, Plan, payloads
from pymachine.model import SshAddress
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_transport import FakeTransport, done
from pymachine.testing.recorder import RecordingReporter
from pymachine.transport import Command, Transport
from unit.fleets import fleet, spec, stack

KEY = "ssh-ed25519 AAAA"
TRUE = Command.of("true")


class Dialling:
    """A connect that counts; ``lost`` answers make a connection fail."""

    def __init__(self) -> None:
        self.made: list[FakeTransport] = []
        self.at_once = self.most = 0
        self.pause = 0.0
        self._lock = threading.Lock()

    def __call__(
        self, address: SshAddress, *, asker: Asker, notice: Callable[[str], None], deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:  # fmt: skip
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(self.pause)
        transport = FakeTransport(replace(address, host_key=KEY))
        transport.answer("true", done())
        with self._lock:
            self.at_once -= 1
            self.made.append(transport)
        return transport


def lent(connections: Connections, address: SshAddress) -> Transport:
    return connections(address, asker=FakeAsker(), notice=lambda text: None, deadline=1.0)


def test_one_connection_is_lent_again_and_again() -> None:
    dialling = Dialling()
    connections = Connections(dialling)
    for pin in (None, KEY):
        with lent(connections, SshAddress("h", host_key=pin)) as transport:
            transport.run(TRUE)
    assert connections.opened == 1
    assert not dialling.made[0].closed
    connections.close()
    assert dialling.made[0].closed


def test_a_connection_that_was_lost_is_opened_anew() -> None:
    dialling = Dialling()
    connections = Connections(dialling)
    transport = lent(connections, SshAddress("h"))
    dialling.made[0].answer("true", Unreachable("lost"))
    with pytest.raises(Unreachable):
        transport.run(TRUE)
    lent(connections, SshAddress("h")).run(TRUE)
    assert connections.opened == 2


def test_a_host_with_another_key_than_expected_is_not_taken_for_the_same() -> None:
    connections = Connections(Dialling())
    lent(connections, SshAddress("h"))
    lent(connections, SshAddress("h", host_key="ssh-ed25519 BBBB"))
    assert connections.opened == 2


def test_more_borrowers_than_a_host_allows_sessions_get_another_connection() -> None:
    connections = Connections(Dialling())
    all_lent = [lent(connections, SshAddress("h")) for _ in range(25)]
    assert connections.opened == 3
    for transport in all_lent:
        transport.close()
        transport.close()
    again = [lent(connections, SshAddress("h")) for _ in range(25)]
    assert (connections.opened, len({id(transport) for transport in again})) == (3, 25)


def test_a_failure_of_one_borrower_closes_nothing_for_the_others() -> None:
    dialling = Dialling()
    connections = Connections(dialling)
    one, other = (lent(connections, SshAddress("h")) for _ in range(2))
    dialling.made[0].answer("false", Unreachable("no session"))
    with pytest.raises(Unreachable):
        one.run(Command.of("false"))
    one.close()
    assert other.run(TRUE).exit_code == 0
    assert (dialling.made[0].closed, connections.opened) == (False, 1)
    other.close()
    assert dialling.made[0].closed
    lent(connections, SshAddress("h"))
    assert connections.opened == 2


def test_what_is_forgotten_while_it_is_lent_is_closed_when_it_comes_back() -> None:
    dialling = Dialling()
    connections = Connections(dialling)
    one, other = (lent(connections, SshAddress("h")) for _ in range(2))
    connections.forget(SshAddress("h", host_key=KEY))
    one.close()
    assert other.run(TRUE).exit_code == 0
    other.close()
    assert [made.closed for made in dialling.made] == [True]


def test_connections_that_are_not_needed_any_more_are_closed() -> None:
    dialling = Dialling()
    connections = Connections(dialling)
    for host in ("a", "b"):
        lent(connections, SshAddress(host))
    connections.close(keep=[SshAddress("b", host_key=KEY)])
    assert [made.closed for made in dialling.made] == [True, False]


def test_a_bastion_gets_only_a_few_logins_at_a_time() -> None:
    dialling = Dialling()
    dialling.pause = 0.02
    connections = Connections(dialling)
    addresses = [SshAddress(f"h{n}", jump="ops@bastion") for n in range(40)]
    threads = [threading.Thread(target=lent, args=(connections, address)) for address in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connections.opened == 40
    assert 1 < dialling.most <= STARTS


FLEET = fleet(
    spec("mgr", "manager"), spec("web-1", "worker"), spec("web-2", "worker"), spec("db"), stacks=(stack("shop"),)
)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), {"mgr", "web-1", "web-2", "db", "shop"}),
        (("web-*",), {"web-1", "web-2"}),
        (("WEB-1",), {"web-1"}),
        (("worker,db",), {"web-1", "web-2", "db"}),
        (("worker", "!web-2"), {"web-1"}),
        (("!worker",), {"mgr", "db", "shop"}),
        (("stacks",), {"shop"}),
    ],
)
def test_patterns_mean_names_globs_groups_and_roles(patterns: tuple[str, ...], names: set[str]) -> None:
    assert selected(FLEET, {}, patterns) == names


def test_a_pattern_that_means_nothing_is_refused_with_what_comes_near() -> None:
    with pytest.raises(UsageFault, match="--limit wbe-1") as raised:
        selected(FLEET, {}, ["wbe-1"])
    assert (raised.value.hint or "").endswith(" web-1?")


def test_a_limited_plan_leaves_out_what_could_not_be_done() -> None:
    first = Chain("mgr", (Action(payloads.Init(), "mgr"),))
    second = Chain("web-1", (Action(payloads.Join("worker"), "web-1", needs=("init:mgr",)),))
    third = Chain("db", (Action(payloads.Create(), "db"),))
    made = Plan("shop", (first, second, third))
    assert limited(made, {"web-1", "db"}).chains == (third,)
    assert limited(made, {"web-1", "mgr"}).chains == (first, second)


def test_after_stop_no_step_begins(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    watched = Watched(reporter, Logs(tmp_path, "shop"))
    watched.started("db", "one")
    watched.stop()
    watched.finished("db", "one")
    with pytest.raises(Interrupted):
        watched.started("db", "two")
    assert reporter.steps("db") == ["one"]


def test_a_log_that_cannot_be_written_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in the way")
    Logs(tmp_path, "shop").write("db", "a line")


def test_a_program_gives_its_lines_and_its_code(tmp_path: Path) -> None:
    heard: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    ended = run_program([sys.executable, "-c", code], {}, deadline=LIMIT, folder=tmp_path, on_line=heard.append)
    assert (ended.code, sorted(ended.lines), sorted(heard)) == (3, ["one", "two"], ["one", "two"])


def test_a_program_reads_what_it_is_given_and_its_outputs_are_kept_apart() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read() * 2); print('aside', file=sys.stderr)"
    ended = run_program([sys.executable, "-c", code], {}, deadline=30, given=b"x" * 100_000, apart=True)
    assert ended.output == b"x" * 200_000
    assert ended.lines == ("aside",)


def test_an_output_without_end_is_refused() -> None:
    with pytest.raises(PymachineError, match="more than 16 MiB"):
        run_program([sys.executable, "-c", "print('x' * (17 << 20))"], {}, deadline=30, apart=True)


def test_a_program_that_does_not_read_its_input_ends_all_the_same() -> None:
    assert run_program([sys.executable, "-c", ""], {}, deadline=30, given=b"x" * 1_000_000).code == 0


def test_a_program_that_does_not_end_is_ended() -> None:
    with gives_up(), pytest.raises(DeadlineExceeded):
        run_program(["sleep", str(AGES)], {"PATH": "/usr/bin:/bin"}, deadline=0.2)


def test_a_program_that_is_not_there_is_explained() -> None:
    with pytest.raises(PymachineError, match="/no/such/thing "):
        run_program(["/no/such/thing"], {}, deadline=1)
