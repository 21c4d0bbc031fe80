import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from stack import checking, env_file
from stack.folders import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / ".env"


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_the_example_holds_no_secret_and_compose_asks_for_each():
    example = env_file.values_of(env_file.EXAMPLE.read_text())

    assert {name: example[name] for name in env_file.SECRETS} == dict.fromkeys(env_file.SECRETS, "")
    files = " ".join(env_file.FILES.values())
    asked = [name for name in env_file.SECRETS if f"${{{name}:?" in COMPOSE or f"{{{name}}}" in files]
    assert asked == list(env_file.SECRETS)


def test_every_variable_that_compose_requires_stands_in_the_example():
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE))

    assert required - env_file.values_of(env_file.EXAMPLE.read_text()).keys() == set()


def test_secrets_are_long_random_and_different_and_for_the_owner_alone(file):
    env_file.write(file)
    first = env_file.values_of(file.read_text())
    made = [first[name] for name in env_file.SECRETS]

    assert mode(file) == 0o600
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"(1:)?[0-9a-f]{16,64}", value) for value in made)
    file.unlink()
    env_file.write(file)
    assert not set(made) & set(env_file.values_of(file.read_text()).values())


def test_what_was_filled_in_is_kept_and_known_values_are_named(file):
    file.write_text(
        "# mine\nSITE_HOST=write.example.org\nVALKEY_PASSWORD=of-mine\nPOSTGRES_PASSWORD=change-me\n"
        f"S3_SECRET_KEY={'ab' * 16}\nSEAWEED_JWT_KEY={'ab' * 16}\n"
    )
    file.chmod(0o644)

    said = env_file.write(file)
    once = file.read_text()

    assert once.startswith("# mine\nSITE_HOST=write.example.org\nVALKEY_PASSWORD=of-mine\n")
    assert [line for line in said if line.endswith("change it.")] == [
        "POSTGRES_PASSWORD is short, with less than 18 characters: change it.",
        "VALKEY_PASSWORD is short, with less than 18 characters: change it.",
        "SEAWEED_JWT_KEY is equal to S3_SECRET_KEY: change it.",
    ]
    assert mode(file) == 0o600
    env_file.write(file)
    assert file.read_text() == once


def test_the_files_of_secrets_are_what_env_says_and_nobody_else_gets_to_them(file, tmp_path):
    env_file.write(file)
    values = env_file.values_of(file.read_text())
    folder = tmp_path / "secrets"
    for _ in range(2):
        env_file.write_files(folder, values)

    assert mode(folder) == 0o700
    assert {one.name for one in folder.iterdir()} == set(env_file.FILES)
    assert {mode(one) for one in folder.iterdir()} == {0o444}
    assert (folder / "api_key_peppers").read_text() == values["API_KEY_PEPPERS"]
    assert (folder / "engine_api_key_fallbacks").read_text() == ""
    database = (folder / "database_url").read_text()
    assert database == f"postgres://polyscribe:{values['POSTGRES_PASSWORD']}@postgres:5432/polyscribe"
    env_file.write_files(folder, values | {"POSTGRES_ROLE": "second"})
    assert (folder / "database_url").read_text() == database.replace("//polyscribe:", "//second:")


def test_no_secret_is_printed(file):
    said = "\n".join(env_file.write(file))
    values = env_file.values_of(file.read_text())

    assert [name for name in env_file.SECRETS if values[name] in said] == []


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_compose_refuses_the_example_and_says_what_to_run():
    """That it takes what `make secrets` writes is checked by `make check`."""
    command = ["docker-compose", "--env-file", str(env_file.EXAMPLE), "-f", checking.COMPOSE, "config"]
    variables = {"PATH": "/usr/bin:/bin", **checking.BY_HAND}
    refused = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "make secrets" in refused.stderr


def test_a_secret_changes_in_the_file_that_containers_have_open(file, tmp_path):
    env_file.write(file)
    values = env_file.values_of(file.read_text())
    env_file.write_files(tmp_path / "secrets", values)
    key = tmp_path / "secrets" / "engine_api_key"
    inode = key.stat().st_ino

    env_file.write_files(tmp_path / "secrets", values | {"ENGINE_API_KEY": "shorter"})

    assert key.read_text() == "shorter"
    assert (key.stat().st_ino, mode(key)) == (inode, 0o444)


PINS = f"services: {{postgres: {{image: 'postgres:1.0@sha256:{'ab' * 32}'}}}}"


def test_what_is_committed_pins_every_image_whose_digest_is_known():
    pinned = yaml.safe_load(env_file.PINNED.read_text())["services"]
    for name, service in yaml.safe_load(COMPOSE)["services"].items():
        image = service.get("image", "polyscribe")
        if not image.startswith(("polyscribe", "vllm/")):  # Renovate adds vLLM's digest
            assert re.fullmatch(re.escape(image) + "@sha256:[0-9a-f]{64}", pinned[name]["image"])
    sources = [file.read_text() for file in env_file.NAMED_IN]
    assert env_file.find_stale_pins(env_file.PINNED.read_text(), *sources) == []
    newer = [text.replace("postgres:18", "postgres:19") for text in sources]
    [stale] = env_file.find_stale_pins(env_file.PINNED.read_text(), *newer)
    assert stale.startswith("postgres:18")


def test_make_secrets_fails_where_the_pins_are_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(env_file, "FILE", tmp_path / ".env")
    monkeypatch.setattr(env_file, "FOLDER", tmp_path / "secrets")
    monkeypatch.setattr(env_file, "PINNED", tmp_path / "digests.yml")
    env_file.main()
    env_file.PINNED.write_text(PINS)
    with pytest.raises(SystemExit, match="which this version no longer names"):
        env_file.main()
