import json
import stat
from dataclasses import asdict

from stack.folders import Credentials


def test_secrets_are_made_once_each_is_its_own_and_only_the_owner_may_read_them(tmp_path):
    credentials = Credentials.of(tmp_path)
    values = list(asdict(credentials).values())

    assert Credentials.of(tmp_path) == credentials
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 16  # a watermark's key has 64 bits
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


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
