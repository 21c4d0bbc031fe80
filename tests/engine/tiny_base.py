"""Write a tiny base model, two layers of 32 numbers, with a real tokenizer. For the engine's environment."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # so that what an adapter adds to a layer matters, as in a trained model
}


def write_base(folder: Path, family: str, texts: list[str], *, is_broken: bool = False) -> None:
    """Write a model of `family` with a tokenizer trained on `texts`; a broken one answers with NaN."""
    tokenizer = make_tokenizer(texts)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    marks = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **SHAPE, **marks)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    if is_broken:
        torch.nn.init.constant_(model.model.norm.weight, float("nan"))
    model.save_pretrained(folder)


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes and some pairs of them, with a chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=384, special_tokens=MARKS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=MARKS[1],
        eos_token=MARKS[2],
        pad_token=MARKS[2],
        chat_template=CHAT_TEMPLATE,
    )
