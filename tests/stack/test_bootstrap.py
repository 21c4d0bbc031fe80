from pathlib import Path

import pytest

from stack import bootstrap


@pytest.fixture(autouse=True)
def good_machine(monkeypatch, tmp_path):
    """A machine on which vLLM runs: each test takes one thing away."""
    (tmp_path / "cpuinfo").write_text("flags : fpu avx avx2 fma\n")
    monkeypatch.setattr(bootstrap, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "NEEDED_GB", 0)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap.platform, "libc_ver", lambda: ("glibc", "2.41"))
    monkeypatch.setenv("ENGINE_DEVICE", "cpu")


def test_a_machine_that_can_run_vllm_passes():
    bootstrap.require_engine_machine()


@pytest.mark.parametrize(
    ("owner", "name", "value", "said"),
    [
        (bootstrap.platform, "machine", lambda: "riscv64", "riscv64"),
        (bootstrap.platform, "libc_ver", lambda: ("", ""), "glibc"),
        (bootstrap, "CPU_INFO", Path("/dev/null"), "AVX2"),
        (bootstrap, "NEEDED_GB", 10**9, "GB"),
    ],
    ids=["no packages", "no glibc", "an old processor", "a full disk"],
)
def test_a_machine_on_which_vllm_does_not_run_is_told_before_anything_is_downloaded(
    monkeypatch, owner, name, value, said
):
    monkeypatch.setattr(owner, name, value)

    with pytest.raises(bootstrap.Stop, match=said):
        bootstrap.require_engine_machine()
