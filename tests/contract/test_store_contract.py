"""What every store promises, asked of the real one and of the fake."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patience import LIMIT, gives_up
from pymachine.documents import from_document, to_document
from pymachine.errors import Conflict, LeaseHeld, NoSuchMachine, StoreError, UsageFault
from pymachine.model import Machine, Phase
from pymachine.store import Broken, Store
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.memory_store import MemoryStore
from samples import FULL

CLIENT = {"ca.pem": b"authority", "cert.pem": b"certificate", "key.pem": b"key"}
SERVER = {"server.pem": b"server", "server-key.pem": b"server key", "ca-key.pem": b"authority's key"}


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        folder = tmp_path / "memory"
        folder.mkdir()
        yield MemoryStore(folder)
    else:
        with SqliteStore.open(tmp_path / "store") as opened:
            yield opened


def machine(name: str = "node1", **changes: object) -> Machine:
    return Machine(name=name, id=f"id-of-{name}", driver="ssh").with_(**changes)


def test_each_store_is_known_by_a_name_of_its_own(store: Store, tmp_path: Path) -> None:
    assert re.fullmatch("[0-9a-f]{32}", store.identity)
    assert store.identity == store.identity
    with SqliteStore.open(tmp_path / "another") as another:
        assert another.identity != store.identity


def test_a_note_comes_back_and_an_empty_one_forgets_it(store: Store) -> None:
    assert store.note("fleet:shop") == {}
    store.keep("fleet:shop", {"stacks": {"web": {"digest": "1"}}})
    store.keep("fleet:shop", {"stacks": {"web": {"digest": "2"}}})
    assert store.note("fleet:shop") == {"stacks": {"web": {"digest": "2"}}}
    assert store.note("fleet:blog") == {}
    store.keep("fleet:shop", {})
    assert store.note("fleet:shop") == {}


def test_the_names_of_notes_are_found_by_how_they_begin(store: Store) -> None:
    for name in ("context:b", "context:a", "Context:c", "fleet:shop", "context:%"):
        store.keep(name, {"kept": True})
    store.keep("context:b", {})
    assert store.noted("context:") == ["context:%", "context:a"]
    assert store.noted("context:_") == []
    assert len(store.noted("")) == 4


def test_a_record_comes_back_as_it_was_put(store: Store) -> None:
    saved = store.put(FULL)
    assert saved == FULL.with_(rev=1)
    assert store.get("node1") == saved
    assert store.find("node1") == saved


def test_names_compare_without_regard_to_case(store: Store) -> None:
    saved = store.put(machine("Node1"), secrets=CLIENT)
    assert store.get("nODE1") == saved
    assert store.secrets("NODE1") == CLIENT
    assert store.materialise("node1").name == "Node1"
    with pytest.raises(Conflict):
        store.put(machine("node1"))
    store.remove("NODE1")
    assert store.find("Node1") is None


def test_a_machine_that_is_not_there_is_none_or_an_error(store: Store) -> None:
    assert store.find("node1") is None
    with pytest.raises(NoSuchMachine, match="node1") as caught:
        store.get("node1")
    assert caught.value.hint
    assert store.secrets("node1") == {}


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x", "a_b"])
def test_a_name_that_cannot_be_a_folder_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageFault):
        store.put(machine(name))
    with pytest.raises(UsageFault):
        store.client_folder(name)


def test_records_are_listed_in_the_order_people_expect(store: Store) -> None:
    for name in ("node10", "node2", "alpha", "Node1", "node2-b", "10", "9"):
        store.put(machine(name))
    names = [record.name for record in store.records()]
    assert names == ["9", "10", "alpha", "Node1", "node2", "node2-b", "node10"]
    assert not any(isinstance(record, Broken) for record in store.records())


def test_an_update_counts_the_writes(store: Store) -> None:
    first = store.put(machine())
    second = store.put(first.with_(phase=Phase.READY))
    assert (first.rev, second.rev) == (1, 2)
    assert store.get("node1").phase is Phase.READY


def test_an_update_of_what_was_changed_meanwhile_is_a_conflict(store: Store) -> None:
    read = store.put(machine())
    store.put(read.with_(driver="none"))
    with pytest.raises(Conflict) as caught:
        store.put(read.with_(driver="kvm"), secrets=CLIENT)
    assert caught.value.hint
    assert store.get("node1").driver == "none"
    assert store.secrets("node1") == {}


def test_an_update_of_what_was_removed_is_a_conflict(store: Store) -> None:
    read = store.put(machine())
    store.remove("node1")
    with pytest.raises(Conflict):
        store.put(read)


def test_an_update_of_another_machine_of_the_same_name_is_a_conflict(store: Store) -> None:
    read = store.put(machine())
    store.remove("node1")
    store.put(machine(id="another"))
    with pytest.raises(Conflict):
        store.put(read)


def test_a_second_record_of_one_name_is_a_conflict(store: Store) -> None:
    store.put(machine())
    with pytest.raises(Conflict, match="node1"):
        store.put(machine(id="another"))


def test_keys_of_a_newer_version_survive_our_writes(store: Store) -> None:
    newer = {
        **to_document(FULL),
        "colour": {"of": ["the", "future"]},
    }
    read = store.put(from_document(Machine, newer))
    store.put(read.with_(phase=Phase.REMOVING))
    assert store.get("node1").extra == {"colour": {"of": ["the", "future"]}}


def test_keys_that_were_taken_out_of_a_mapping_stay_out(store: Store) -> None:
    read = store.put(FULL)
    store.put(read.with_(labels={}, handle={"host": "x"}, options={}))
    found = store.get("node1")
    assert (found.labels, found.handle, found.options) == ({}, {"host": "x"}, {})


def test_secrets_travel_with_the_record_and_replace_their_namesakes(store: Store) -> None:
    read = store.put(machine(), secrets={**CLIENT, **SERVER})
    store.put(read, secrets={"key.pem": b"new", "binary": bytes(range(256))})
    assert store.secrets("node1") == {**CLIENT, **SERVER, "key.pem": b"new", "binary": bytes(range(256))}


def test_a_secret_without_content_is_deleted_in_the_same_write(store: Store) -> None:
    read = store.put(machine(), secrets={**CLIENT, "next-key.pem": b"new"})
    store.put(read, secrets={"key.pem": b"new", "next-key.pem": b"", "never-there": b""})
    assert store.secrets("node1") == {**CLIENT, "key.pem": b"new"}


def test_a_removed_machine_leaves_nothing(store: Store) -> None:
    store.put(machine(), secrets=CLIENT)
    store.put(machine("node10"), secrets=CLIENT)
    folder = store.materialise("node1")
    neighbour = store.materialise("node10")
    store.remove("node1")
    assert store.find("node1") is None
    assert store.secrets("node1") == {}
    assert [path.name for path in folder.parent.iterdir() if not path.name.startswith(".node10@")] == ["node10"]
    assert content(neighbour) == CLIENT


def test_removing_what_is_gone_is_no_error(store: Store) -> None:
    store.remove("node1")
    store.put(machine(), secrets=CLIENT)
    store.remove("node1")
    store.remove("node1", rev=3)


def test_removing_what_was_changed_meanwhile_is_a_conflict(store: Store) -> None:
    read = store.put(machine(), secrets=CLIENT)
    store.put(read)
    folder = store.materialise("node1")
    with pytest.raises(Conflict):
        store.remove("node1", rev=read.rev)
    assert store.get("node1").rev == 2
    assert content(folder) == CLIENT


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_client_folder_is_known_before_it_exists(store: Store) -> None:
    path = store.client_folder("node1")
    assert path == store.folder / "certs" / "node1"
    assert not path.exists()


def test_only_the_clients_files_are_materialised_and_only_for_their_owner(store: Store) -> None:
    store.put(machine(), secrets={**CLIENT, **SERVER})
    folder = store.materialise("node1")
    assert folder == store.client_folder("node1")
    assert content(folder) == CLIENT
    assert {path.stat().st_mode & 0o7777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o7777 == 0o700


def test_materialising_again_writes_nothing_unless_needed(store: Store) -> None:
    store.put(machine(), secrets=CLIENT)
    generation = store.materialise("node1").readlink()
    assert store.materialise("node1").readlink() == generation


def test_new_certificates_replace_the_generation_as_a_whole(store: Store) -> None:
    read = store.put(machine(), secrets=CLIENT)
    first = store.materialise("node1").resolve()
    store.put(read, secrets={"cert.pem": b"new certificate", "key.pem": b"new key"})
    folder = store.materialise("node1")
    assert content(folder) == {"ca.pem": b"authority", "cert.pem": b"new certificate", "key.pem": b"new key"}
    assert not first.exists()
    assert len(list(folder.parent.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", ["file gone", "file changed", "file added", "file readable", "link gone", "all gone"]
)
def test_what_was_damaged_by_hand_is_restored(store: Store, damage: str) -> None:
    store.put(machine(), secrets=CLIENT)
    folder = store.materialise("node1")
    match damage:
        case "file gone":
            (folder / "key.pem").unlink()
        case "file changed":
            (folder / "key.pem").write_bytes(b"?")
        case "file added":
            (folder / "more.pem").write_bytes(b"?")
        case "file readable":
            (folder / "key.pem").chmod(0o644)
        case "link gone":
            folder.unlink()
        case "all gone":
            for path in (*folder.iterdir(), folder):
                path.unlink()
    store.materialise("node1")
    assert content(folder) == CLIENT
    assert (folder / "key.pem").stat().st_mode & 0o7777 == 0o600


def test_a_folder_put_in_place_of_the_link_is_replaced(store: Store) -> None:
    store.put(machine(), secrets=CLIENT)
    path = store.client_folder("node1")
    path.mkdir(parents=True)
    (path / "old.pem").touch()
    assert content(store.materialise("node1")) == CLIENT


def test_leftovers_of_a_crash_are_swept(store: Store) -> None:
    store.put(machine(), secrets=CLIENT)
    folder = store.materialise("node1")
    stray = folder.parent / ".node1@0123456789abcdef"
    stray.mkdir()
    (stray / "key.pem").touch()
    (folder.parent / ".node1@0123456789abcdef.link").symlink_to(stray.name)
    other = folder.parent / ".node10@0123456789abcdef"
    other.mkdir()
    store.materialise("node1")
    assert {path.name for path in folder.parent.iterdir()} == {"node1", folder.readlink().name, other.name}


def test_a_machine_without_certificates_cannot_be_materialised(store: Store) -> None:
    store.put(machine(), secrets=SERVER)
    with pytest.raises(StoreError, match="client certificates") as caught:
        store.materialise("node1")
    assert caught.value.hint
    with pytest.raises(NoSuchMachine):
        store.materialise("node2")


def test_a_lease_shows_its_holder_and_ends_with_its_block(store: Store) -> None:
    with store.lease("node1", "create node1") as lease:
        lease.check()
        assert store.holder("NODE1") == lease.holder
        assert (lease.holder.name, lease.holder.purpose) == ("node1", "create node1")
    assert store.holder("node1") is None


def test_a_lease_needs_no_record_and_leaves_others_alone(store: Store) -> None:
    with store.lease("node1", "create node1"), store.lease("node2", "create node2"):
        assert store.find("node1") is None


def test_a_lease_that_is_held_says_who_holds_it_and_the_way_out(store: Store) -> None:
    with store.lease("node1", "create node1") as lease:
        holder = lease.holder
        with pytest.raises(LeaseHeld) as caught, store.lease("Node1", "rm node1"):
            pass
    for part in ("node1", f"{holder.user}@{holder.host}", str(holder.pid), holder.since, "create node1"):
        assert part in caught.value.message
    assert "--force-unlock" in (caught.value.hint or "")


@pytest.mark.parametrize("error", [StoreError("x"), ValueError("x"), KeyboardInterrupt()])
def test_a_lease_ends_however_its_block_ends(store: Store, error: BaseException) -> None:
    with pytest.raises(type(error)), store.lease("node1", "create node1"):
        raise error
    assert store.holder("node1") is None


def test_who_waits_gets_the_lease_when_it_is_released(store: Store) -> None:
    taken, order = threading.Event(), list[str]()

    def first() -> None:
        with store.lease("node1", "first"):
            taken.set()
            time.sleep(0.2)
            order.append("first done")

    thread = threading.Thread(target=first)
    thread.start()
    assert taken.wait(LIMIT)
    with store.lease("node1", "second", wait=LIMIT):
        order.append("second begun")
    thread.join(LIMIT)
    assert order == ["first done", "second begun"]


def test_who_waits_gives_up_in_time(store: Store) -> None:
    with store.lease("node1", "first"):
        began = time.monotonic()
        with gives_up(), pytest.raises(LeaseHeld), store.lease("node1", "second", wait=0.3):
            pass
        assert time.monotonic() - began >= 0.3, "it did not wait"


def test_a_broken_lease_is_noticed_by_its_holder_and_free_for_another(store: Store) -> None:
    with store.lease("node1", "hangs") as lease:
        assert store.break_lease("NODE1") == lease.holder
        with pytest.raises(LeaseHeld, match="hangs"):
            lease.check()
        with store.lease("node1", "goes on") as other:
            other.check()
            assert store.holder("node1") == other.holder
    assert store.holder("node1") is None


def test_the_end_of_a_broken_lease_leaves_the_next_one_alone(store: Store) -> None:
    hanging = store.lease("node1", "hangs")
    hanging.__enter__()
    store.break_lease("node1")
    with store.lease("node1", "goes on") as other:
        hanging.__exit__(None, None, None)
        other.check()


def test_breaking_what_nobody_holds_is_no_error(store: Store) -> None:
    assert store.break_lease("node1") is None


def test_the_journal_tells_what_became_of_an_operation(store: Store) -> None:
    saved = store.put(machine())
    number = store.begin(saved, "create", {"token": "x", "tries": [1, 2]})
    store.advance(number, "reaching the host")
    (running,) = store.operations("NODE1", unfinished=True)
    assert (running.id, running.machine, running.machine_id) == (number, "node1", "id-of-node1")
    assert (running.kind, running.step, running.outcome) == ("create", "reaching the host", None)
    assert running.payload == {"token": "x", "tries": [1, 2]}
    assert running.begun.endswith("+00:00")
    store.finish(number, "failed", "no answer")
    assert store.operations(unfinished=True) == []
    (ended,) = store.operations("node1")
    assert (ended.outcome, ended.message, ended.step) == ("failed", "no answer", "reaching the host")


def test_the_journal_goes_backwards_and_outlives_its_machines(store: Store) -> None:
    for name in ("node1", "node2", "node1"):
        store.finish(store.begin(machine(name), "create"), "done")
    store.begin(machine("node1"), "rm")
    store.remove("node1")
    assert [entry.kind for entry in store.operations("node1")] == ["rm", "create", "create"]
    assert [entry.machine for entry in store.operations()] == ["node1", "node1", "node2", "node1"]
    assert [entry.kind for entry in store.operations(unfinished=True)] == ["rm"]


def test_an_operation_that_is_not_there_cannot_go_on(store: Store) -> None:
    with pytest.raises(StoreError, match="no operation 7"):
        store.advance(7, "x")
    with pytest.raises(StoreError, match="no operation 7"):
        store.finish(7, "done")
    number = store.begin(machine(), "create")
    with pytest.raises(ValueError, match="done"):
        store.finish(number, "perhaps")


def test_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> None:
        name = f"node{number}"
        with store.lease(name, "create"):
            record = store.put(machine(name), secrets=CLIENT)
            for _ in range(5):
                record = store.put(record)
            store.materialise(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    assert [record.rev for record in store.records() if isinstance(record, Machine)] == [6] * 16
