"""The check of a folder before anything is sent: never stricter than the service, and in its words."""

import json
from pathlib import Path

import pytest

from adapters.validation import header, limits
from polyscribe import FolderRejected
from polyscribe.push import folder
from polyscribe.push.folder import read_folder
from stack.folders import ROOT

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def codes_of(path: Path) -> list[str]:
    with pytest.raises(FolderRejected) as caught:
        read_folder(path)
    for finding in caught.value.findings:
        assert finding["sentence"]
        assert finding["fix"]
    return [finding["code"] for finding in caught.value.findings]


def test_its_limits_are_those_of_the_service():
    assert folder.LIMITS_BYTES == limits.LIMITS_BYTES
    assert folder.PICKLE_ENDINGS == limits.PICKLE_ENDINGS
    assert folder.HEADER_LIMIT_BYTES == header.HEADER_LIMIT


def test_trained_styles_pass_and_only_their_two_files_are_sent():
    for style in ("poetry", "legal", "genz"):
        assert list(read_folder(ROOT / "engine" / "styles" / style)) == [CONFIG, WEIGHTS]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert codes_of(tmp_path / "nowhere") == ["folder_missing"]


def test_a_file_that_is_being_written_is_told(adapter, monkeypatch):
    digest = folder._digest

    def write_meanwhile(opened, limit_bytes):
        with (adapter / WEIGHTS).open("ab") as written:
            written.write(b"more")
        return digest(opened, limit_bytes)

    monkeypatch.setattr(folder, "_digest", write_meanwhile)
    assert "file_changing" in codes_of(adapter)


def test_both_files_are_missed_at_once(tmp_path):
    assert codes_of(tmp_path) == ["file_missing", "file_missing"]


def test_a_checkpoint_inside_is_pointed_to(adapter, tmp_path):
    outer = tmp_path / "out"
    outer.mkdir()
    adapter.rename(outer / "checkpoint-90")

    with pytest.raises(FolderRejected) as caught:
        read_folder(outer)
    assert "checkpoint-90" in caught.value.findings[0]["fix"]


def test_a_pickle_is_named_and_never_sent(adapter):
    (adapter / WEIGHTS).rename(adapter / "adapter_model.bin")

    assert codes_of(adapter) == ["file_pickle"]


def test_files_over_the_limits_are_told(adapter, monkeypatch):
    monkeypatch.setitem(folder.LIMITS_BYTES, WEIGHTS, 100_000)  # as many bytes are read
    (adapter / CONFIG).write_text(" " * (limits.CONFIG_LIMIT + 1))
    (adapter / WEIGHTS).write_bytes(bytes(100_001))

    assert codes_of(adapter) == ["file_too_large", "file_too_large"]


def test_a_config_that_is_none_is_told(adapter):
    for text in ("", "{", "[]", "[" * 100_000, '{"peft_type": "LOHA"}'):
        (adapter / CONFIG).write_text(text)
        assert codes_of(adapter)[0] in ("file_empty", "file_too_large", "config_not_json", "peft_type")


def weights_with(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def test_weights_that_cannot_be_read_are_told(adapter):
    for content, said in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"\x80\x02}q\x00.", "has no header"),
        (b"\x00", "has no header"),
        ((2**40).to_bytes(8, "little") + b"{}", "claims"),
        ((900).to_bytes(8, "little") + b"{}", "header is truncated"),
        ((4).to_bytes(8, "little") + b"{nul", "not JSON"),
        (weights_with({}), "no tensors"),
        (weights_with({"a": 1}), "no data_offsets"),
        (weights_with({"a": ENTRY}, b"123"), "1 bytes shorter"),
        (weights_with({"a": ENTRY}, b"12345"), "1 bytes after"),
    ):
        (adapter / WEIGHTS).write_bytes(content)
        with pytest.raises(FolderRejected) as caught:
            read_folder(adapter)
        assert said in caught.value.findings[0]["sentence"]
