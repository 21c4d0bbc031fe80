"""Where a base model lies, and who may read it."""

import os
import stat
from pathlib import Path

import pytest

from engine import prepare

NAME = "meta-llama/Llama-3.1-8B-Instruct"
FILES = ("config.json", "tokenizer.json", "model.safetensors")


def fill(folder: Path, files: tuple[str, ...] = FILES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).write_text("{}")


@pytest.fixture
def hub(monkeypatch) -> list[str]:
    """A hub that has every model; the names that were downloaded from it."""
    asked = []

    def snapshot_download(name: str, *, local_dir: Path, allow_patterns: list[str]) -> None:
        asked.append(name)
        fill(local_dir)

    monkeypatch.setattr(prepare, "snapshot_download", snapshot_download)
    return asked


@pytest.fixture
def strict_umask():
    before = os.umask(0o077)
    yield
    os.umask(before)


def unreadable(folder: Path) -> list[Path]:
    """Return what another user could not read of a folder."""
    needed = {True: 0o005, False: 0o004}
    paths = [folder, *folder.rglob("*")]
    return [path for path in paths if not stat.S_IMODE(path.stat().st_mode) & needed[path.is_dir()]]


@pytest.mark.usefixtures("strict_umask")
def test_every_user_may_read_a_model_that_was_laid(tmp_path, hub):
    prepare.prepare_model(NAME, tmp_path / "models" / NAME)
    assert unreadable(tmp_path / "models") == []


def test_files_that_were_brought_by_hand_are_taken_without_a_hub_and_must_be_whole(tmp_path, hub):
    fill(tmp_path / NAME, files=("config.json",))
    missing = r"not a model folder\. Missing: tokenizer\.json, \*\.safetensors"
    with pytest.raises(prepare.Unprepared, match=missing):
        prepare.prepare_model(NAME, tmp_path / NAME)
    fill(tmp_path / NAME)
    prepare.prepare_model(NAME, tmp_path / NAME)
    assert hub == []


def test_another_model_is_laid_beside_the_first_and_neither_is_downloaded_twice(tmp_path, hub):
    for name in (NAME, "Qwen/Qwen3-4B", NAME):
        prepare.prepare_model(name, tmp_path / name)
    assert hub == [NAME, "Qwen/Qwen3-4B"]
    assert (tmp_path / NAME / "config.json").exists()


def test_a_hub_that_cannot_be_reached_is_told_with_the_folder_for_files_by_hand(tmp_path, monkeypatch):
    def unreachable(*args, **options):
        raise OSError("no route to the hub")

    monkeypatch.setattr(prepare, "snapshot_download", unreachable)

    with pytest.raises(
        prepare.Unprepared, match=f"no route to the hub.*put the files into {tmp_path / NAME}"
    ):
        prepare.prepare_model(NAME, tmp_path / NAME)
