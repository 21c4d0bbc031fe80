import json
import stat
from dataclasses import asdict

from stack.credentials import Credentials


def test_secrets_are_made_once(tmp_path):
    assert Credentials.of(tmp_path) == Credentials.of(tmp_path)


def test_only_the_owner_may_read_them(tmp_path):
    Credentials.of(tmp_path)

    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_every_secret_is_its_own(tmp_path):
    values = list(asdict(Credentials.of(tmp_path)).values())

    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 20


def test_a_secret_that_an_older_version_lacked_is_added_and_the_others_stay(tmp_path):
    before = Credentials.of(tmp_path)
    file = tmp_path / "secrets.json"
    known = json.loads(file.read_text())
    del known["cache_salt"]
    file.write_text(json.dumps(known | {"kept": "from elsewhere"}))

    after = Credentials.of(tmp_path)

    assert after.cache_salt != before.cache_salt
    assert after.postgres_password == before.postgres_password
    assert json.loads(file.read_text())["kept"] == "from elsewhere"
