"""engine/extensions/polyscribe_lora.py beside plain products, in vLLM's own Python."""

import json
from pathlib import Path

ROWS = Path(__file__).with_name("lora_rows.py")
REFUSES = """
import polyscribe_lora, torch
from vllm.lora.layers import BaseLayerWithLoRA
from vllm.lora.layers.base_linear import BaseLinearLayerWithLoRA


class Layer(BaseLinearLayerWithLoRA):
    def __init__(self, shape_a, shape_b, writes=True, tp_size=1):
        torch.nn.Module.__init__(self)
        self.output_slices, self.n_slices, self.tp_size, self.writes = (6,), 1, tp_size, writes
        self.lora_a_stacked, self.lora_b_stacked = (torch.zeros(shape_a),), (torch.zeros(shape_b),)

    def set_lora(self, *arguments):
        if self.writes:
            super().set_lora(*arguments)


class Other(BaseLayerWithLoRA):
    pass


known = (2, 1, 4, 8), (2, 1, 6, 4)
layers = [Layer(*known), Layer((2, 4, 8), known[1]), Layer(known[0], (2, 1, 7, 4))]
for layer in [*layers, Layer(*known, writes=False), Layer(*known, tp_size=2), Other()]:
    try:
        polyscribe_lora.install(torch.nn.ModuleDict({"odd": layer}))
        print("taken")
    except polyscribe_lora.UnknownLayers as error:
        print(error)
"""


def test_each_row_gets_what_its_adapter_adds_and_others_stay_as_they_are(vllm_process):
    found = json.loads(vllm_process.ask(ROWS.read_text()).splitlines()[-1])
    (float32, touched), (bfloat16, touched_too) = found["float32"], found["bfloat16"]
    assert touched == touched_too == 0
    assert float32 < 1e-5
    assert bfloat16 < 0.01  # a value has 8 bits
    assert found["ends"] < 1e-5


def test_a_vllm_with_other_layers_does_not_start(vllm_process):
    taken, *refused = vllm_process.ask(REFUSES).splitlines()
    assert taken == "taken"
    reasons = ["lora_a_stacked of odd", "lora_b_stacked of odd", "set_lora of odd", "odd is sharded"]
    reasons.append("odd is a Other")
    assert len(refused) == len(reasons)
    for reason, said in zip(reasons, refused, strict=True):
        assert reason in said
        assert "ENGINE_LORA=vllm" in said
