"""`manage.py checkadapter`: the report on a shell, with nothing set up."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from unittest.mock import ANY

import ml_dtypes
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from adapters.models import BaseModel, Engine
from adapters.uploads import pipeline, sessions
from adapters.uploads.upload_request import StyleDescription
from adapters.validation import BaseShape, base_model_reader
from labs.broken_adapters.parts import CONFIG, WEIGHTS, safetensors
from tests.adapters.builders import post, zipped
from tests.documents import blocks
from tests.fakes import broken_adapters as broken
from tests.fakes.broken_adapters import tiny_base, valid_adapter

ROOT = Path(__file__).parents[2]
STYLES = sorted((ROOT / "engine" / "styles").glob("*/adapter_model.safetensors"))


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    """A base model on disk, small and real."""
    folder, dice = tmp_path / "Tiny-Instruct", np.random.default_rng(4)
    weights = {
        f"{name}.weight": dice.normal(size=(linear.rows, linear.columns)).astype(ml_dtypes.bfloat16)
        for name, linear in tiny_base().modules.items()
    }
    folder.mkdir()
    (folder / "config.json").write_text('{"dtype": "bfloat16", "vocab_size": 1000}')
    (folder / "model.safetensors").write_bytes(safetensors(weights))
    return folder


@pytest.fixture
def base(base_folder: Path) -> BaseShape:
    return base_model_reader.read_base_model(base_folder)


def run(*arguments: object) -> tuple[int, str, str]:
    """Return exit status and what was written to stdout and stderr."""
    out, err = StringIO(), StringIO()
    try:
        call_command("checkadapter", *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as stop:
        return int(stop.code), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_a_valid_adapter_is_summed_up(base, base_folder, tmp_path):
    valid_adapter(base).write(tmp_path / "mine")
    status, out, err = run(tmp_path / "mine", "--base", base_folder)
    assert (status, err) == (0, "")
    for part in (
        "valid",
        "12 of 12 linear layers",
        "8, alpha 16",
        "down_proj",
        "bytes",
        "sha256",
        "limit 50%",
    ):
        assert part in out


def test_every_reason_comes_with_its_fix(base, base_folder, tmp_path):
    adapter = valid_adapter(base)
    adapter.config["use_dora"] = True
    broken.KINDS["nan"](adapter, base)
    adapter.write(tmp_path / "mine")
    status, out, err = run(tmp_path / "mine", "--base", base_folder)
    assert (status, out) == (1, "")
    assert "DoRA" in err
    assert "contains NaN" in err
    assert err.count("Fix: ") == 2


def test_the_highest_rank_can_be_given(base, base_folder, tmp_path):
    valid_adapter(base).write(tmp_path / "mine")
    status, _, err = run(tmp_path / "mine", "--base", base_folder, "--max-rank", 4)
    assert status == 1
    assert "Train with r = 4 or less." in err


def test_an_archive_is_checked_and_what_can_be_converted_is_told(base, base_folder, tmp_path):
    adapter = valid_adapter(base)
    path = tmp_path / "mine.zip"
    for prefix, expected in (("base_model.model.", 0), ("", 1)):
        broken.rename_tensors(adapter, "base_model.model.", prefix)
        path.write_bytes(zipped({CONFIG: adapter.config_bytes, WEIGHTS: adapter.weights}))
        status, _, err = run(path, "--base", base_folder)
        assert status == expected
    assert "mine.zip: not valid" in err
    assert "this conversion would be offered" in err


@pytest.mark.django_db
@pytest.mark.parametrize("stated", ["4-bit", "8-bit", "other"])
def test_what_is_stated_of_the_base_counts_as_in_an_upload(acme, base_folder, settings, tmp_path, stated):
    base = base_model_reader.read_base_model(base_folder)
    settings.BASE_MODEL = base.name
    BaseModel.objects.create(name=base.name, config=base.config, modules=base.modules_json())
    adapter = valid_adapter(base)
    files = {CONFIG: adapter.config_bytes, WEIGHTS: adapter.weights}
    about = StyleDescription(slug="noir", name="Noir", stated_quantisation=stated)
    version, forms = sessions.begin_upload(
        acme, None, about, {name: len(content) for name, content in files.items()}
    )
    for form in forms:
        post(form, files[form.file])
    sessions.finish_upload(version)
    pipeline.advance_version(version)

    (finding,) = version.findings
    assert finding.code == "quantisation_mismatch"
    adapter.write(tmp_path / "mine")
    (tmp_path / "mine.zip").write_bytes(zipped(files))
    for path in (tmp_path / "mine", tmp_path / "mine.zip"):
        status, _, err = run(path, "--base", base_folder, "--quantisation", stated)
        assert status == 1
        assert f"  {finding.sentence}  [{finding.code}]\n    Fix: {finding.fix}\n" in err
        assert err.count("Fix: ") == 1
        assert run(path, "--base", base_folder, "--quantisation", "none")[0] == 0


def test_only_the_forms_states_can_be_stated(base_folder, tmp_path):
    with pytest.raises(CommandError, match="invalid choice: 'a bit'"):
        run(tmp_path, "--base", base_folder, "--quantisation", "a bit")


def test_missing_folders_are_named(base_folder, tmp_path):
    with pytest.raises(CommandError, match="absent is not a folder"):
        run(tmp_path / "absent", "--base", base_folder)
    with pytest.raises(CommandError, match="with --base"):
        run(tmp_path, "--base", tmp_path / "absent")


def test_it_runs_in_a_bare_shell(base, base_folder, tmp_path):
    valid_adapter(base).write(tmp_path / "mine")
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "checkadapter", tmp_path / "mine", "--base", base_folder],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "mine: valid" in done.stdout
    assert done.stderr == ""


def test_the_documents_lines_check_an_adapter(base, base_folder, tmp_path, monkeypatch):
    [block] = blocks("docs/adapters.md", language="sh")
    monkeypatch.chdir(tmp_path)
    base_folder.rename(tmp_path / "my-base-model")
    adapter = valid_adapter(base_model_reader.read_base_model(Path("my-base-model")))
    adapter.write(tmp_path / "my-adapter")
    packed = zipped({CONFIG: adapter.config_bytes, WEIGHTS: adapter.weights})
    Path("my-adapter.zip").write_bytes(packed)
    for python, manage, name, *options in block.words():
        assert (python, manage, name) == (".venv/bin/python", "manage.py", "checkadapter")
        assert run(*options) == (0, ANY, "")


def test_the_documents_lines_compute_an_engines_memory(engine):
    [block] = blocks("docs/capacity.md", language="sh")
    Engine.objects.filter(pk=engine.pk).update(name="second")
    for python, manage, *command in block.words():
        assert (python, manage) == ("python", "manage.py")
        out = StringIO()
        call_command(*command, stdout=out)
        assert out.getvalue().startswith("second: ")
        assert "a slot" in out.getvalue()
