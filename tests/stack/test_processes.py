import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from stack import processes
from stack.errors import ServiceFailed
from stack.folders import ROOT, Folders, held
from stack.processes import Program, Supervisor, end_leftovers
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def folders(tmp_path):
    folders = Folders(tmp_path / "var")
    folders.make()
    return folders


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(folders, said):
    supervisor = Supervisor(folders, said.append)
    yield supervisor
    supervisor.stop()


class Clock:
    """The supervisor's clock: it stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    sleep = staticmethod(time.sleep)

    def until_restart(self, supervisor: Supervisor, name: str) -> float:
        return supervisor._children[name].restart_at_s - self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(processes, "time", clock)
    return clock


def sleeper(name: str = "sleeper", **more) -> Program:
    return Program(name=name, title=name, argv=["/bin/sleep", "600"], **more)


def python(code: str, name: str = "script", **more) -> Program:
    return Program(name=name, title=name, argv=[sys.executable, "-c", textwrap.dedent(code)], **more)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_dies_is_started_again_and_a_line_says_so(supervisor, said):
    supervisor.start(sleeper())
    first = supervisor.pid("sleeper")
    os.kill(first, signal.SIGKILL)

    eventually(lambda: supervisor.revive() or supervisor.pid("sleeper") != first, within_s=PATIENCE_S)
    assert alive(supervisor.pid("sleeper"))
    assert "sleeper stopped (exit -9). Restarting it." in said[0]


def test_a_child_that_keeps_dying_ends_the_stack_with_its_last_words(supervisor):
    supervisor.start(python("raise SystemExit('no disk left')"))

    with pytest.raises(ServiceFailed, match=r"script stopped 6 times in a row.*no disk left.*script\.log"):
        eventually(supervisor.revive, within_s=PATIENCE_S)


def test_an_engine_that_keeps_dying_is_started_again_after_pauses_while_the_rest_is_kept_up(
    supervisor, said, tmp_path, clock
):
    mark = tmp_path / "broken"
    code = f"""
        import pathlib, time
        print("no kernel for this", flush=True)
        while not pathlib.Path({str(mark)!r}).exists():
            time.sleep(0.01)
        raise SystemExit(3)
    """
    supervisor.start(sleeper())
    supervisor.start(python(code, "engine", is_optional=True))
    supervisor.await_ready("engine", lambda: True, within_s=PATIENCE_S)
    rest = supervisor.pid("sleeper")
    mark.touch()

    pauses = []
    while len(said) < 13:
        count = len(said)
        eventually(lambda: supervisor.revive() or len(said) > count, within_s=PATIENCE_S)  # noqa: B023
        pauses.append(round(clock.until_restart(supervisor, "engine"), 1))
        clock.now_s += pauses[-1] + 0.1

    assert pauses == [0, 0.5, 1, 1.5, 2, 2, 4, 8, 16, 32, 60, 60, 60]
    assert "engine stopped 6 times in a row (exit 3): no kernel for this" in said[5]
    assert "in 2 s; everything else keeps running" in said[5]
    mark.unlink()
    eventually(lambda: supervisor.revive() or alive(supervisor.pid("engine")), within_s=PATIENCE_S)
    assert supervisor.pid("sleeper") == rest
    assert alive(rest)


def test_an_engine_that_never_came_up_is_not_started_again(supervisor, said):
    supervisor.start(python("raise SystemExit('this model is too large')", "engine", is_optional=True))
    first = supervisor.pid("engine")
    eventually(lambda: not alive(first), within_s=PATIENCE_S)
    supervisor.revive()

    with pytest.raises(ServiceFailed, match=r"stopped while it started \(exit 1\): this model is too large"):
        supervisor.await_ready("engine", lambda: False, within_s=PATIENCE_S)
    assert supervisor.pid("engine") == first
    assert not said


def test_a_child_that_ends_while_it_starts_tells_why(supervisor):
    supervisor.start(python("raise SystemExit('the port is taken')"))

    with pytest.raises(ServiceFailed, match=r"stopped while it started \(exit 1\): the port is taken"):
        supervisor.await_ready("script", lambda: False, within_s=PATIENCE_S)


def test_a_child_that_never_gets_ready_is_given_up(supervisor):
    supervisor.start(sleeper())

    with pytest.raises(ServiceFailed, match="was not ready within 0 s"):
        supervisor.await_ready("sleeper", lambda: False, within_s=0.2)


def test_stop_ends_every_child_with_its_own_signal_the_last_layer_first(supervisor, tmp_path):
    told = tmp_path / "told"
    for name, layer, stop_signal in (("low", 0, signal.SIGINT), ("high", 1, signal.SIGTERM)):
        code = f"""
            import pathlib, signal, time
            def end(signum, frame):
                with open({str(told)!r}, "a") as out:
                    out.write(f"{name} {{signum}} ")
                raise SystemExit
            signal.signal({int(stop_signal)}, end)
            pathlib.Path({str(tmp_path / name)!r}).touch()
            time.sleep(600)
        """
        supervisor.start(python(code, name, stop_signal=stop_signal, layer=layer))
        eventually((tmp_path / name).exists, within_s=PATIENCE_S)
    pids = [supervisor.pid("low"), supervisor.pid("high")]

    supervisor.stop()

    assert told.read_text() == "high 15 low 2 "
    assert not any(map(alive, pids))


def test_a_child_that_ignores_its_signal_is_killed_with_its_whole_group(supervisor, tmp_path):
    code = f"""
        import pathlib, signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["/bin/sleep", "600"])
        pathlib.Path({str(tmp_path / "pid.new")!r}).write_text(str(child.pid))
        pathlib.Path({str(tmp_path / "pid.new")!r}).rename({str(tmp_path / "pid")!r})
        time.sleep(600)
    """
    supervisor.start(python(code, stop_within_s=0.3))
    eventually((tmp_path / "pid").exists, within_s=PATIENCE_S)
    leader, member = supervisor.pid("script"), int((tmp_path / "pid").read_text())

    supervisor.stop()

    eventually(lambda: not alive(leader) and not alive(member), within_s=PATIENCE_S)


def test_a_one_off_program_shows_its_lines_and_fails_with_its_last_error(supervisor):
    shown = []
    supervisor.once(python("print('one'); print('two')"), show=shown.append)
    assert shown == ["one", "two"]

    code = "import sys; print('fine'); print('what went wrong', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ServiceFailed, match=r"script failed \(exit 3\): what went wrong"):
        supervisor.once(python(code, errors_apart=True))


CRASHING = """
import os, pathlib, signal, sys, time
from stack.folders import Folders, held
from stack.processes import Program, Supervisor

folders = Folders(pathlib.Path(sys.argv[1]))
ignore = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
with held(folders):
    supervisor = Supervisor(folders, print)
    supervisor.start(Program("meek", "meek", ["/bin/sleep", "600"]))
    supervisor.start(Program("stubborn", "stubborn", [sys.executable, "-c", ignore]))
    while "up" not in (folders.logs / "stubborn.log").read_text():
        time.sleep(0.02)
    print(supervisor.pid("meek"), supervisor.pid("stubborn"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(folders: Folders) -> list[int]:
    """Run a stack that kills itself; return its children."""
    command = [sys.executable, "-c", CRASHING, str(folders.var)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_children_get_their_signal_when_the_stack_is_killed_and_the_next_start_ends_the_rest(folders):
    meek, stubborn = crash(folders)
    eventually(lambda: not alive(meek), within_s=PATIENCE_S)
    assert alive(stubborn)

    with held(folders):
        assert end_leftovers(folders) == 1

    assert not alive(stubborn)
    assert not list(folders.pids.iterdir())


def test_a_sweep_spares_a_stranger_that_got_the_recorded_number(folders, said):
    meek, stubborn = crash(folders)
    stranger = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    record = folders.pids / "meek.json"
    record.write_text(record.read_text().replace(str(meek), str(stranger.pid)))
    try:
        end_leftovers(folders)
        assert alive(stranger.pid)
        assert not alive(stubborn)
    finally:
        stranger.kill()
        stranger.wait()
