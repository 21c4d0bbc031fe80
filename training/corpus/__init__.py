"""Corpus: from a writer's texts to the examples that a style is trained on. See docs/training.md.

Pure functions of texts, seed and settings: no database, no storage, no network, no clock.
"""

from training.corpus.build import Corpus, CorpusReport, build_corpus, without
from training.corpus.canaries import make_canaries, plant_canaries, write_canaries
from training.corpus.examples import (
    Example,
    ExamplePlan,
    Examples,
    Task,
    TaskMix,
    as_jsonl,
    make_examples,
    make_held_out_briefs,
    plan_examples,
)
from training.corpus.instructions import MOST_ANSWER_TOKENS, Instruction, choose_instructions
from training.corpus.passages import Passage
from training.corpus.pieces import (
    STANDARD_LIMITS,
    CorpusLimits,
    CorpusTooSmall,
    NothingHeldOut,
    SourceDocument,
)
from training.corpus.writer_prompts import draft_prompt, writer_prompts
