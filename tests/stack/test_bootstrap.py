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
    ("name", "value", "said"),
    [("machine", "riscv64", "riscv64"), ("libc_ver", ("", ""), "glibc")],
)
def test_a_machine_without_packages_of_vllm_is_told_before_anything_is_downloaded(
    monkeypatch, name, value, said
):
    monkeypatch.setattr(bootstrap.platform, name, lambda: value)

    with pytest.raises(bootstrap.Stop, match=said):
        bootstrap.require_engine_machine()


def test_a_processor_that_vllm_cannot_use_is_told(tmp_path):
    (tmp_path / "cpuinfo").write_text("flags : fpu avx sse4_2\n")

    with pytest.raises(bootstrap.Stop, match="AVX2"):
        bootstrap.require_engine_machine()


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(bootstrap, "NEEDED_GB", 10**9)

    with pytest.raises(bootstrap.Stop, match="GB"):
        bootstrap.require_engine_machine()
