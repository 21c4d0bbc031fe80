"""Lines of JSON: an event of ours by its word and facts, a library's by its sentence, no secret in any."""

import json
import logging

from core import log_lines
from inference.telemetry import EventLogger
from tenants.models.keys import new_secret


def line_of(record: logging.LogRecord) -> dict:
    return json.loads(log_lines.formatter().format(record))


def record(message: str, *args: object, exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord("a.library", logging.WARNING, "x.py", 1, message, args, exc_info)


def test_a_librarys_sentence_is_one_line_whatever_is_in_it():
    line = log_lines.formatter().format(record("broke\nat %s", '"quoted"'))
    assert "\n" not in line
    facts = json.loads(line)
    assert facts["event"] == 'broke\nat "quoted"'
    assert (facts["level"], facts["logger"]) == ("warning", "a.library")
    assert facts["timestamp"].endswith("Z")


def test_an_event_of_ours_is_its_word_and_facts(caplog):
    EventLogger(logging.getLogger("inference.test"), "engine_failure").write(engine="engine-1", waited_s=1.5)
    facts = line_of(caplog.records[0])
    assert (facts["event"], facts["engine"], facts["waited_s"]) == ("engine_failure", "engine-1", 1.5)


def test_a_fault_is_one_line_with_its_traceback():
    try:
        raise ValueError("no")
    except ValueError as error:
        exc_info = (type(error), error, error.__traceback__)
    assert "ValueError: no" in line_of(record("failed", exc_info=exc_info))["exception"]


def test_no_secret_is_written():
    key = new_secret()
    secrets = [key, "sk_live_abcdef123456", "whsec_MfKQ9r8GKYqrTwjU", "hunter2hunter2"]
    text = f"{key} at redis://:hunter2hunter2@valkey:6379/0 with sk_live_abcdef123456, whsec_MfKQ9r8GKYqrTwjU"
    line = log_lines.formatter().format(record("%s", text))
    assert [secret for secret in secrets if secret in line] == []
    assert "valkey:6379" in line
    named = log_lines.hide_secrets(None, "", {"password": "hunter2", "Authorization": "Bearer x"})
    assert named == {"password": log_lines.HIDDEN, "Authorization": log_lines.HIDDEN}
    assert log_lines.hide_secrets(None, "", {"prompt_tokens": 3}) == {"prompt_tokens": 3}
