"""A style is lent, taken away at once, and erased to the last copy while the engine serves everybody else."""

import json
import os
import re
from pathlib import Path

import boto3
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from adapters.object_store import sealed_key, upload_key
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE
from stack.api import fetched
from tests.journeys.conftest import kill
from tests.waiting import eventually

QUESTION = "Why is the sky blue?"
GREEDY = {"max_tokens": 16, "temperature": 0}


def stored(version_id: str) -> list[str]:
    """Return which keys of a version the storage answers to, as its own client is told."""
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT_URL"],
        region_name=os.environ["S3_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )
    found = []
    for key in (
        key(version_id, file) for key in (sealed_key, upload_key) for file in (CONFIG_FILE, WEIGHTS_FILE)
    ):
        try:
            client.head_object(Bucket=os.environ["S3_BUCKET"], Key=key)
            found.append(key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
    return found


def report_of(writer, version_id: str) -> dict:
    return json.loads(fetched(writer.session, f"/styles/versions/{version_id}/erasure.json"))


def waits(report: dict, label: str) -> bool:
    return any(line["label"].endswith(label) and line["state"] == "current" for line in report["lines"])


@pytest.mark.alone  # it kills the engine
def test_a_style_is_lent_taken_away_and_erased(demo, stranger, random_adapters):
    upload = demo.upload(random_adapters[2])
    page = fetched(demo.session, f"{upload.page}versions/") + fetched(demo.session, f"{upload.page}sharing/")
    version_id = re.search(r'id="steps-([0-9a-f-]{36})"', page).group(1)
    style_id = re.search(r"/styles/([0-9a-f-]{36})/share/", page).group(1)
    others = demo.say("poetry", QUESTION, **GREEDY)
    own = demo.say(upload.model, QUESTION, **GREEDY)

    with pytest.raises(openai.NotFoundError):
        stranger.say(upload.model, QUESTION, **GREEDY)
    workspace = re.search(r"stranger-[0-9a-f]{8}", fetched(stranger.session, "/styles/")).group()
    demo.post(f"/styles/{style_id}/share/", workspace=workspace)
    stranger.post(f"/styles/{style_id}/select/")
    assert stranger.say(upload.model, QUESTION, **GREEDY) == own

    share = re.search(
        r"/console/adapters/share/(\d+)/change/", fetched(demo.session, "/console/adapters/share/")
    )
    end_now = {"action": "end_now", "_selected_action": share.group(1)}
    demo.post("/console/adapters/share/", **end_now, confirmed="1", why="The journey's end.")
    with pytest.raises(openai.NotFoundError) as refused:
        stranger.say(upload.model, QUESTION, **GREEDY)
    assert refused.value.code == "model_not_found"
    assert demo.say(upload.model, QUESTION, **GREEDY) == own

    copy = Path(os.environ["ENGINE_ADAPTERS_DIR"], version_id)
    assert sorted(stored(version_id)) == sorted(
        sealed_key(version_id, file) for file in (CONFIG_FILE, WEIGHTS_FILE)
    )
    assert copy.is_dir()
    demo.post(f"/styles/{style_id}/delete/", confirm=upload.model.split("/")[1])
    with pytest.raises(openai.NotFoundError):
        demo.say(upload.model, QUESTION, **GREEDY)
    eventually(
        lambda: waits(report_of(demo, version_id), "memory freed"),
        within_s=300,
        what=f"not forgotten: {report_of(demo, version_id)}",
    )
    assert stored(version_id) == []
    assert copy.is_dir(), "the engine may read it again"

    kill("engine")
    eventually(
        lambda: report_of(demo, version_id)["finished_at"],
        within_s=300,
        what=f"not erased: {report_of(demo, version_id)}",
    )
    assert not copy.exists()
    assert "restarted since" in fetched(demo.session, f"/styles/versions/{version_id}/erasure.txt")
    assert demo.say("poetry", QUESTION, **GREEDY) == others
