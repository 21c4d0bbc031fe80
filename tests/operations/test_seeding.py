"""The demo's seed and the shipped styles: what they write, what they print, and when they stop."""

import io
import json
import stat

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from safetensors.numpy import save_file

from adapters.models import AdapterVersion
from operations import seeding
from tenants.models import User


@pytest.fixture
def no_styles(tmp_path, settings):
    """Return an empty folder of styles, beside a base model of one layer.

    The real base model may not be on this machine yet: only the engine's set-up fetches it.
    """
    settings.BASE_MODEL_DIR = tmp_path / "base-model"
    settings.BASE_MODEL_DIR.mkdir()
    (settings.BASE_MODEL_DIR / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 1}')
    weights = {"model.layers.0.self_attn.q_proj.weight": np.ones((8, 8), dtype=np.float32)}
    save_file(weights, settings.BASE_MODEL_DIR / "model.safetensors")
    folder = tmp_path / "styles"
    folder.mkdir()
    return folder


def printed(*words: object) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_login_goes_into_a_private_file_and_nowhere_else(tmp_path, no_styles):
    file = tmp_path / "deep" / "demo.json"

    said = printed("seed", "--styles", no_styles, "--secrets", file)
    login = json.loads(file.read_text())

    assert User.objects.get(email=login["login"]).check_password(login["password"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert login["password"] not in said
    assert login["api_key"] not in said


@pytest.mark.django_db
def test_a_second_seed_keeps_the_password_and_the_key(tmp_path, no_styles):
    file = tmp_path / "demo.json"
    printed("seed", "--styles", no_styles, "--secrets", file)
    first = file.read_text()
    printed("seed", "--styles", no_styles, "--secrets", file)

    assert file.read_text() == first


@pytest.mark.django_db
def test_nobody_is_made_where_the_login_cannot_be_written_down(tmp_path, no_styles):
    (tmp_path / "a-file").touch()

    with pytest.raises(CommandError, match=r"can't be written .*--secrets"):
        printed("seed", "--styles", no_styles, "--secrets", tmp_path / "a-file" / "demo.json")

    assert not User.objects.filter(email=seeding.EMAIL).exists()


@pytest.mark.django_db
def test_shipped_styles_of_another_base_model_are_not_uploaded(settings):
    settings.BASE_MODEL = "meta-llama/Llama-3.1-8B-Instruct"

    with pytest.raises(
        CommandError, match=r"genz was trained on .*SmolLM2.* but this site serves meta-llama"
    ):
        printed("publishstyles")

    assert not AdapterVersion.objects.exists()
