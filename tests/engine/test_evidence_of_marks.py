"""An engine says which marked answers can hardly be found: engine/extensions/polyscribe_evidence.py."""

import json

# Tokens that the key's noise chose among 64, and others; vLLM's output processor is stood in for.
ASKED = """
import json, os, random
os.environ["POLYSCRIBE_WATERMARK"] = "3:0123456789abcdef"
import torch
import polyscribe_evidence
from types import SimpleNamespace
from vllm.v1.engine import output_processor
from vllm.v1.watermarking.prfs import PhiloxPRF

passed = []
State = output_processor.RequestState
before = State.make_request_output
State.make_request_output = lambda self, tokens, pooled, finish, stop, *_, **__: passed.append(stop)
try:
    polyscribe_evidence.install()
    random.seed(1)
    prf = PhiloxPRF(0x0123456789ABCDEF)
    marked = [1, 2, 3, 4]
    while len(marked) < 100:
        candidates = torch.tensor(random.sample(range(49152), 64))
        noise = prf.uniform(torch.tensor([marked[-4:]]), candidates)
        marked.append(int(candidates[noise.argmax()]))
    plain = [random.randrange(49152) for _ in range(100)]

    def end(tokens, stop, finish="stop", temperature=0.8):
        state = SimpleNamespace(temperature=temperature, detokenizer=SimpleNamespace(output_token_ids=tokens))
        State.make_request_output(state, [], None, finish, stop, None)
        return passed[-1]

    found = [
        [end(marked, None), end(marked, "END"), end(marked, 2)],
        [end(plain, None), end(plain, "END"), end(plain, 2), end(marked[:5], None)],
        [end(plain, None, finish=None), end(plain, None, temperature=0.0)],
        [end(plain, "polyscribe:invalid_grammar")],
    ]
finally:
    State.make_request_output = before
print(json.dumps(found))
"""


def test_an_answer_is_faint_where_vllms_own_detector_finds_too_little(vllm_process):
    enough, too_little, not_asked, refused = json.loads(vllm_process.ask(ASKED))
    assert enough == [None, "END", 2]
    faint = "polyscribe-faint:"
    assert too_little == [faint, f"{faint}END", faint, faint]
    assert not_asked == [None, None]
    assert refused == ["polyscribe:invalid_grammar"]
