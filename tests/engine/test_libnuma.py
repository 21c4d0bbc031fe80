import ctypes

import libnuma
import pytest

WHICH_LIBRARY = """
import torch
from vllm.platforms import current_platform
current_platform.import_kernels()
print({line.split()[-1] for line in open("/proc/self/maps") if "libnuma" in line})
"""


def test_every_function_says_that_there_are_no_nodes(tmp_path):
    library = ctypes.CDLL(str(libnuma.write_library(tmp_path) / libnuma.NAME))
    assert [getattr(library, name)() for name in libnuma.SYMBOLS] == [-1] * len(libnuma.SYMBOLS)


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_the_file_is_a_shared_library_of_its_machine(machine, number):
    image = libnuma.build_library(machine)
    assert image[:4] == b"\x7fELF"
    assert int.from_bytes(image[18:20], "little") == number


@pytest.mark.parametrize(("name", "value"), [("libnuma_1.1", 0x0C45DB41), ("GLIBC_2.2.5", 0x09691A75)])
def test_names_of_versions_are_hashed_as_the_loader_hashes_them(name, value):
    assert libnuma.elf_hash(name) == value


def test_vllm_loads_with_it(vllm_process):
    assert str(vllm_process.folder / libnuma.NAME) in vllm_process.ask(WHICH_LIBRARY)
