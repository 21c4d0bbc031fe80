"""The guide for those who come from OpenAI: its program runs, and its line can be learned."""

from tests.documents import blocks
from tests.training.builders import make_chats
from training.conversations import read_line
from training.models import Training

GUIDE = "docs/fine-tuning.md"


def test_the_program_of_the_guide_runs(client, tmp_path, monkeypatch, capsys):
    (tmp_path / "chats.jsonl").write_bytes(make_chats())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("openai.OpenAI", lambda **_: client)
    [block] = blocks(GUIDE, language="python")
    exec(block.text, {})
    assert Training.objects.get().slug == "my-voice"
    assert "Created fine-tuning job" in capsys.readouterr().out


def test_the_line_of_the_guide_can_be_learned():
    [block] = blocks(GUIDE, language="json")
    assert read_line(block.text.strip().encode()).answer_words == 5
