"""The end of cloud-init: what each version prints, told in a few lines; and the script that asks, in a real shell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pymachine_templates
from pymachine.engine.cloud_init import LOOK, read_status
from pymachine.engine.progress import ProgressReader, raise_for
from pymachine.errors import EngineError
from pymachine.testing.recorder import RecordingReporter
from pymachine.transport import Result

FAILED = "('scripts_user', RuntimeError('Runparts: 1 failures (part-001) in 1 attempted commands'))"
WARNED = "Failed at merging in cloud config part from part-001: empty cloud config"
OLD = "\n....\nstatus: error\ntime: Thu, 01 Jan 1970 00:00:01 +0000\ndetail:\n('runcmd', OSError())\n"


def told(code: int, printed: object) -> list[str]:
    text = printed if isinstance(printed, str) else json.dumps(printed, indent=2)
    return list(read_status(f"{code} {text}".replace("\n", "\x1f")).lines())


def test_an_end_without_errors_and_warnings_is_not_worth_a_word() -> None:
    assert told(0, {"status": "done", "errors": [], "recoverable_errors": {}}) == []
    assert told(0, {"status": "done", "errors": []}) == []  # before 23.4
    assert told(0, "\nstatus: done\n") == []
    assert told(0, '....\n{"errors": []}') == []


@pytest.mark.parametrize("code", [2, 0])  # RHEL and Ubuntu 22.04 take the 2 back
def test_warnings_are_named_whatever_code_the_distribution_makes_of_them(code: int) -> None:
    levels = {"WARNING": [WARNED, WARNED], "DEPRECATED": ["chpasswd.list is deprecated"]}
    headline, *lines = told(code, {"status": "done", "errors": [], "recoverable_errors": levels})
    assert "warnings" in headline
    assert lines == [
        f"cloud-init: {WARNED}",
        "cloud-init: deprecated: chpasswd.list is deprecated",
    ]


def test_errors_are_named_before_warnings_and_each_once() -> None:
    levels = {"WARNING": [FAILED, WARNED]}
    first, *lines = told(1, {"status": "error", "errors": [FAILED], "recoverable_errors": levels})
    assert "exit code 1" in first
    assert lines == [f"cloud-init: {FAILED}", f"cloud-init: {WARNED}"]


def test_an_old_version_is_quoted_and_what_says_nothing_is_said_to() -> None:
    assert any("('runcmd', OSError())" in line for line in told(1, OLD))
    for nothing in ("", "{", '{"errors": 5}', '{"recoverable_errors": []}', '{"errors": ["\\ud800"]}'):
        assert LOOK in told(1, nothing)[-1]


def test_a_host_that_tells_much_is_heard_in_part() -> None:
    lines = told(1, {"errors": [f"{number} {'x' * 5000}" for number in range(500)]})
    assert len(lines) == 10
    assert max(map(len, lines)) < 400
    assert "492 more" in lines[-1]


@given(st.text(max_size=60))
def test_no_line_of_a_host_is_a_bug_here(text: str) -> None:
    list(read_status(text).lines())


def test_a_set_up_that_fails_after_it_says_so_too() -> None:
    recorder = RecordingReporter()
    reader = ProgressReader(recorder, "node1")
    reader.line("@pymachine cloud-init 1 {}")
    reader.line("@pymachine cloud-init-log cc_runcmd.py[WARNING]: failed")
    with pytest.raises(EngineError) as caught:
        raise_for(Result(1, b"", b""), reader)
    assert LOOK in str(caught.value.hint)


# The script that asks.


LOG = """\
2026-01-01 10:00:00,000 - util.py[DEBUG]: Running command true
2026-01-01 10:00:00,001 - cc_scripts_user.py[WARNING]: Failed to run module scripts_user
2026-01-01 10:00:00,002 - util.py[DEBUG]: Running module scripts_user
"""


def asked(folder: Path, cloud_init: str) -> list[str]:
    """Run what the set-up script waits by, with this for a cloud-init, and return what it says to us."""
    whole = _script()
    begin, end = whole.index("wait_for_cloud_init() {"), whole.index("# The package would start the engine")
    text = f"set -eu\nhere={folder}\n{_COMMON}\n{whole[begin:end]}\nwait_for_cloud_init\necho went on\n"
    text = text.replace("/run/cloud-init", f"{folder}/run").replace("/var/log/cloud-init.log", f"{folder}/log")
    (folder / "run").mkdir()
    (folder / "log").write_text(LOG)
    program = folder / "cloud-init"
    program.write_text(cloud_init)
    program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", text], env=environ, capture_output=True, text=True, check=False, timeout=60)
    return [*done.stdout.splitlines(), str(done.returncode)]


_COMMON = """
say() { printf '@pymachine %s %s\\n' "$1" "$2"; }
step() { say step "$1"; }
die() { say error "$1"; exit 1; }
"""


def _script() -> str:
    return (Path(pymachine_templates.__file__).parent / "engine/setup.sh.j2").read_text()


def heard(lines: list[str]) -> list[str]:
    recorder = RecordingReporter()
    reader = ProgressReader(recorder, "node1")
    for line in lines:
        reader.line(line)
    return recorder.notices("node1")


def answering(code: int, printed: str) -> str:
    """A cloud-init that ended with this code and prints this where it is asked for JSON."""
    return f"""#!/bin/sh
[ "$*" = 'status --wait --format json' ] || exit 99
cat <<'END'
{printed}
END
exit {code}
"""


OLDER = """#!/bin/sh
case $* in
    *--format*) echo 'error: unrecognized arguments: --format json' >&2; exit 2 ;;
    'status --wait --long') printf '..\\nstatus: error\\ndetail:\\n(runcmd, OSError())\\n'; exit 1 ;;
esac
exit 99
"""
HANGS = """#!/bin/sh
[ "$*" = 'status --long' ] || exit 124
printf 'status: running\\ndetail:\\nRunning in stage: modules-final\\n'
"""


def test_a_failed_cloud_init_is_named_with_its_log_and_the_set_up_goes_on(tmp_path: Path) -> None:
    lines = asked(tmp_path, answering(1, json.dumps({"errors": [FAILED]}, indent=2)))
    assert lines[-2:] == ["went on", "0"]
    said = heard(lines)
    assert f"cloud-init: {FAILED}" in said
    assert [line for line in said if "log" in line] == [f"cloud-init's log: {LOG.splitlines()[1]}"]


def test_warnings_are_named_and_the_set_up_goes_on(tmp_path: Path) -> None:
    lines = asked(tmp_path, answering(2, json.dumps({"recoverable_errors": {"WARNING": [WARNED]}}, indent=2)))
    assert lines[-2:] == ["went on", "0"]
    assert f"cloud-init: {WARNED}" in heard(lines)


def test_one_that_went_well_is_not_told_of(tmp_path: Path) -> None:
    lines = asked(tmp_path, answering(0, json.dumps({"errors": [], "status": "done"})))
    assert (heard(lines), lines[-1]) == ([], "0")


def test_one_that_knows_no_json_is_asked_as_it_can(tmp_path: Path) -> None:
    lines = asked(tmp_path, OLDER)
    assert lines[-1] == "0"
    assert any("(runcmd, OSError())" in line for line in heard(lines))


@pytest.mark.parametrize("code", ["124", "143"])  # of coreutils' timeout and of BusyBox's
def test_one_that_does_not_end_is_refused_with_where_it_stands(tmp_path: Path, code: str) -> None:
    lines = asked(tmp_path, HANGS.replace("124", code))
    assert lines[-1] == "1"
    assert "@pymachine log Running in stage: modules-final" in lines
