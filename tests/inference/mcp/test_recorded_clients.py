"""What the SDK's client and the Inspector's command line sent, once recorded, is still answered as then.

`npx @modelcontextprotocol/inspector --cli <site>/mcp --header "Authorization: Bearer …" --method tools/list`,
then tools/call, prompts/list and prompts/get, with Node 22.
"""

import json
from pathlib import Path

import httpx2
import pytest

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


@pytest.mark.parametrize("file", RECORDED, ids=[file.stem for file in RECORDED])
async def test_recorded_requests_are_answered_as_then(address, engine, secret, file):
    exchanges = json.loads(file.read_text())
    async with httpx2.AsyncClient(timeout=60) as http:
        for sent in exchanges:
            headers = {**sent["headers"], "Authorization": f"Bearer {secret}"}
            answer = await http.request(sent["method"], f"{address}/mcp", headers=headers, json=sent["body"])
            assert (answer.status_code, answer.headers["content-type"]) == (sent["status"], sent["type"]), (
                sent
            )
            if answer.status_code == 200:
                message = json.loads(answer.text.rpartition("data: ")[2])
                assert message["id"] == sent["body"]["id"]
                assert not message["result"].get("isError")
    assert len(exchanges) >= 5
