"""How well adapters predict texts: `judge.py --base DIR --adapter NAME=DIR … TEXT.jsonl …`.

A text is a file of conversations, as train.py reads them. Prints one JSON object: file name → adapter's name
→ mean negative log-likelihood (nats a token) of the responses; "base" is the base without an adapter. With
--plain, responses stand alone, without a request and the base's chat template.
"""

import argparse
import json
import sys
from pathlib import Path

from transformers import PreTrainedTokenizerFast

sys.path.append(str(Path(__file__).resolve().parents[3] / "engine"))

from scoring.model import BASE, load_scorer
from trainer.examples import Conversation, Example, read_examples, tokenize
from trainer.job import ModelSettings
from trainer.model import loss_per_token
from trainer.preparation import read_tokenizer


def read_plain(file: Path, tokenizer: PreTrainedTokenizerFast, *, max_tokens: int) -> list[Example]:
    """Return the answers of a file, each as a text of its own."""
    examples = []
    for line in file.read_text(encoding="utf-8").splitlines():
        for message in Conversation.model_validate_json(line).messages:
            if message.is_learned:
                tokens = tokenize(tokenizer, message.text)[:max_tokens]
                examples.append(Example(tokens, tokens))
    return examples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="+", type=Path, metavar="TEXT.jsonl")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--adapter", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without requests and the chat template")
    options = parser.parse_args()
    settings = ModelSettings(base=options.base, base_name=options.base.name, threads=options.threads)
    adapters = dict(pair.split("=", 1) for pair in options.adapter)
    scorer = load_scorer(settings, {name: Path(folder) for name, folder in adapters.items()})
    tokenizer = read_tokenizer(options.base)
    judged = {}
    for text in options.texts:
        read = read_plain if options.plain else read_examples
        examples = read(text, tokenizer, max_tokens=settings.max_tokens)
        losses = {}
        for name in (BASE, *adapters):
            losses[name] = loss_per_token([scorer.score(name, example) for example in examples])
        judged[text.stem] = losses
        print(f"{text.stem}: {losses}", file=sys.stderr, flush=True)
    print(json.dumps(judged))


if __name__ == "__main__":
    main()
