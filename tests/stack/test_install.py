"""install.sh with a stand-in for docker: what it asks and refuses, and that repeating it changes nothing."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from stack import env_file
from stack.folders import ROOT

NEEDED = (
    "install.sh", ".env.example", "docker-compose.yml", "docker-compose.digests.yml", "Dockerfile",
    "dev/stack/env_file.py", "deploy/upgrade.sh", "deploy/replace.sh", "core/version.py",
)  # fmt: skip
DOCKER = """#!/bin/sh
echo "$*" >> "$DOCKER_LOG"
case "$*" in
*readyz*) cat > /dev/null ;;
*"shell --verbosity"*) cat > /dev/null; [ -e "$DOCKER_LOG.operator" ] ;;
*createsuperuser*) touch "$DOCKER_LOG.operator"; cat > "$DOCKER_LOG.password" ;;
*DockerRootDir*) echo / ;;
*Runtimes*) echo '{"nvidia": {}}' ;;
info*) exit "${DOCKER_DOWN:-0}" ;;
"compose version") exit "${NO_COMPOSE:-0}" ;;
esac
"""
ANSWERS = (
    "write.example.org",
    "smtp://me:pa$s#word@mail.example.org:587",
    "Qwen/Qwen3-4B",
    "",
    "me@example.org",
)


class Server:
    """A folder with an unpacked release, and a PATH with docker and a GPU."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "release"
        self.log = folder / "docker.log"
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in NEEDED:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        self.add("docker", DOCKER)
        self.add("nvidia-smi", "#!/bin/sh\n")
        self.add("df", "#!/bin/sh\necho head\necho / 0 0 200000000 0 /\n")
        self.add("ss", "#!/bin/sh\n")
        self.add(
            "awk", '#!/bin/sh\ncase "$*" in */proc/meminfo) echo 64 ;; *) exec /usr/bin/awk "$@" ;; esac\n'
        )

    def add(self, name: str, text: str) -> None:
        program = self.programs / name
        program.write_text(text)
        program.chmod(0o755)

    def run(self, *options: str, answers: tuple[str, ...] = (), variables: Mapping[str, str] | None = None):
        environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "DOCKER_LOG": str(self.log),
            "INSTALL_WAIT_S": "0",
            **(variables or {}),
        }
        return subprocess.run(
            ["sh", str(self.folder / "install.sh"), *options],
            input="".join(f"{answer}\n" for answer in answers),
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    @property
    def env(self) -> Path:
        return self.folder / ".env"

    def values(self) -> dict[str, str]:
        return env_file.values_of(self.env.read_text())

    def commands(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def server(tmp_path) -> Server:
    return Server(tmp_path)


def test_it_asks_for_what_is_missing_writes_it_and_starts(server):
    done = server.run(answers=ANSWERS)

    assert done.returncode == 0, done.stderr
    values = server.values()
    assert values["SITE_HOST"] == "write.example.org"
    assert values["SITE_URL"] == "https://write.example.org"
    assert values["S3_PUBLIC_ENDPOINT_URL"] == "https://files.write.example.org"
    assert values["FILES_HOST"] == "files.write.example.org"
    assert values["EMAIL_URL"] == "smtp://me:pa%24s%23word@mail.example.org:587", "compose reads $ and #"
    assert values["BASE_MODEL"] == "Qwen/Qwen3-4B"
    assert values["COMPOSE_PROFILES"] == "proxy"
    assert all(values[name] for name in env_file.SECRETS)
    assert stat.S_IMODE(server.env.stat().st_mode) == 0o600
    assert (server.folder / "secrets/database_url").exists()
    commands = server.commands()
    assert "compose up --detach --no-build web web-2 gateway caddy" in commands
    assert commands.index("compose build") < commands.index("compose up --detach --no-build")
    password = Path(f"{server.log}.password").read_text()
    assert len(password) == 20
    assert f"as me@example.org with the password {password}" in done.stdout
    assert password not in server.log.read_text()


def test_options_answer_every_question(server):
    options = ("--host", "a.example.org", "--mail", "smtp://mail.example.org", "--admin", "me@example.org")

    done = server.run(*options, "--yes", "--no-proxy")

    assert done.returncode == 0, done.stderr
    assert "[y/N]" not in done.stdout
    assert server.values()["BASE_MODEL"] == env_file.values_of(env_file.EXAMPLE.read_text())["BASE_MODEL"]
    assert "compose up --detach --no-build web web-2 gateway" in server.commands()


def test_later_runs_leave_out_caddy_as_the_first_did(server):
    server.run("--no-proxy", answers=ANSWERS)
    assert server.values()["COMPOSE_PROFILES"] == ""

    done = server.run()

    assert "Your proxy must send" in done.stdout
    assert server.values()["COMPOSE_PROFILES"] == ""
    assert not [command for command in server.commands() if "caddy" in command]


@pytest.mark.parametrize("profiles", ["proxy,training", "training,proxy"])
def test_caddy_is_left_out_later_and_other_profiles_stay(server, profiles):
    server.run(answers=ANSWERS)
    server.env.write_text(server.env.read_text().replace("PROFILES=proxy", f"PROFILES={profiles}"))

    server.run("--no-proxy")

    assert server.values()["COMPOSE_PROFILES"] == "training"


def test_secrets_are_taken_from_variables(server):
    mail = "smtp://me:word@mail.example.org"
    variables = {"INSTALL_MAIL": mail, "INSTALL_HUB_TOKEN": "hf_1"}

    done = server.run("--host", "a.example.org", "--admin", "me@example.org", "--yes", variables=variables)

    assert done.returncode == 0, done.stderr
    assert server.values()["EMAIL_URL"] == mail
    assert server.values()["HF_TOKEN"] == "hf_1"


def test_the_password_is_shown_although_the_rest_does_not_start(server):
    server.add(
        "docker", DOCKER.replace('case "$*" in', 'case "$*" in\n*"up --detach --no-build") exit 1 ;;', 1)
    )

    done = server.run(answers=ANSWERS)

    assert done.returncode == 1
    assert f"the password {Path(f'{server.log}.password').read_text()}" in done.stdout


def test_checks_do_not_read_the_answers(server):
    server.run(answers=ANSWERS)
    Path(f"{server.log}.operator").unlink()

    done = server.run(answers=("other@example.org",))

    assert done.returncode == 0, done.stderr
    assert "as other@example.org with the password" in done.stdout


def test_a_second_run_asks_nothing_and_keeps_every_value_and_the_operator(server):
    server.run(answers=ANSWERS)
    before = server.env.read_text()

    done = server.run()

    assert done.returncode == 0, done.stderr
    assert server.env.read_text() == before
    assert "an operator exists" in done.stdout
    assert "password" not in done.stdout
    assert sum("createsuperuser" in command for command in server.commands()) == 1


def test_an_interrupted_first_run_leaves_nothing(server):
    for given, option in ((ANSWERS[:1], "--mail"), (ANSWERS[:4], "--admin")):
        done = server.run(answers=given)
        assert done.returncode == 1
        assert f"Pass {option}" in done.stderr
        assert not server.env.exists()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (("http://a.example.org",), "is not a host name"),
        (("word",), "is not a host name"),
        (("a.example.org", "mail.example.org"), "is not the address of a mail server"),
        (("a.example.org", "smtp://me:a b@mail"), "%20"),
        (("a.example.org", "smtp://mail", "a model"), "is not a model's name"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_before_anything_is_written(server, answers, sentence):
    done = server.run(answers=(*answers, "", "me@example.org"))

    assert done.returncode == 1
    assert sentence in done.stderr
    assert not server.env.exists()


@pytest.mark.parametrize(
    ("programs", "variables", "sentence"),
    [
        ({}, {"DOCKER_DOWN": "1"}, "systemctl start docker"),
        ({}, {"NO_COMPOSE": "1"}, "docker-compose-plugin"),
        ({"nvidia-smi": "#!/bin/sh\nexit 9\n"}, {}, "Install the driver"),
        ({"docker": DOCKER.replace("nvidia", "runc")}, {}, "NVIDIA Container Toolkit"),
        ({"df": "#!/bin/sh\necho head\necho / 0 0 9000000 0 /\n"}, {}, "9 GB are free"),
        ({"ss": "#!/bin/sh\necho LISTEN\n"}, {}, "--no-proxy"),
        ({"awk": "#!/bin/sh\necho 7\n"}, {}, "7 GB of memory"),
    ],
)
def test_a_machine_that_lacks_something_is_told_what_to_do(server, programs, variables, sentence):
    for name, text in programs.items():
        server.add(name, text)

    done = server.run(answers=ANSWERS, variables=variables)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert not server.env.exists()


def test_force_goes_on_without_a_gpu(server):
    server.add("nvidia-smi", "#!/bin/sh\nexit 9\n")

    done = server.run("--force", answers=ANSWERS)

    assert done.returncode == 0, done.stderr
    assert "Install the driver" in done.stderr


def test_a_site_that_does_not_serve_is_an_error_with_its_log(server):
    server.add("docker", DOCKER.replace('case "$*" in', 'case "$*" in\n*readyz*) exit 1 ;;', 1))

    done = server.run(answers=ANSWERS)

    assert done.returncode == 1
    assert "docker compose logs" in done.stderr
    assert "compose logs --tail 20 web migrate" in server.commands()


def test_an_upgrade_is_the_script_of_deploy(server):
    assert "Run ./install.sh first" in server.run("upgrade").stderr
    server.run(answers=ANSWERS)

    done = server.run("upgrade")

    assert done.returncode == 0, done.stderr
    assert "compose run --rm -T --no-deps migrate" in server.commands()


def test_an_uninstallation_keeps_data_and_keys_unless_asked_twice(server):
    assert server.run("uninstall").returncode == 0
    server.run(answers=ANSWERS)

    assert server.run("uninstall", answers=("n",)).returncode == 1
    assert not [command for command in server.commands() if " down " in command]
    assert server.run("uninstall", answers=("y",)).returncode == 0
    assert server.commands()[-1].endswith("down --remove-orphans")
    assert server.run("uninstall", "--delete-data", answers=("yes",)).returncode == 1
    assert server.run("uninstall", "--delete-data", answers=(ANSWERS[0],)).returncode == 0
    assert server.commands()[-1].endswith("down --remove-orphans --volumes")
    assert server.env.exists()


def test_the_help_names_every_option():
    said = subprocess.run(["sh", str(ROOT / "install.sh"), "--help"], capture_output=True, text=True).stdout
    parsing = (ROOT / "install.sh").read_text().partition("while [ $# -gt 0 ]")[2].partition("\ndone\n")[0]
    options = set(re.findall(r"--[a-z-]+", parsing)) - {"--help"}
    assert {"--host", "--yes", "--delete-data"} <= options
    assert options <= set(re.findall(r"--[a-z-]+", said))


def test_the_scripts_may_be_run():
    assert os.access(ROOT / "install.sh", os.X_OK)
