"""What a writer, the served base model, is asked for: a brief or a neutral draft of a passage."""

from training.corpus.examples import ExamplePlan, Task, draft_id
from training.corpus.pairs import cut_parts

ENGLISH = {
    Task.BRIEF: (
        "Below is a passage. Write the request that someone could have sent to its author to get it: what "
        "it is about, who and what comes up, in which order. Use one to three plain sentences of at most "
        "60 words in total. Don't quote the passage and don't describe its style. Reply with the request "
        "only.\n\n{passage}"
    ),
    # As small models have learned it: in other words they answer about the passage, or copy it.
    Task.DRAFT: (
        "Rewrite the input text to make it more concise while preserving its core meaning.\n\n{passage}"
    ),
}
GERMAN = {
    Task.BRIEF: (
        "Unten steht eine Textpassage. Schreiben Sie die Bitte, mit der jemand sie bei der Person, die "
        "sie geschrieben hat, hätte bestellen können: worum es geht, wer und was vorkommt, in welcher "
        "Reihenfolge. Ein bis drei schlichte Sätze, zusammen höchstens 60 Wörter. Zitieren Sie nicht aus "
        "der Passage und beschreiben Sie nicht ihren Stil. Antworten Sie nur mit der Bitte.\n\n{passage}"
    ),
    Task.DRAFT: (
        "Schreiben Sie den folgenden Text knapper und in schlichten Worten; sein Inhalt bleibt.\n\n{passage}"
    ),
}


def draft_prompt(text: str, language: str) -> str:
    """Return what a writer is asked for a neutral draft of a text, in its language."""
    return _prompts(language)[Task.DRAFT].format(passage=text)


def writer_prompts(plan: ExamplePlan) -> dict[str, str]:
    """Return what a writer is asked for a plan, by id: for a brief, for a draft of each part, or nothing."""
    text, language = plan.passage.text, plan.passage.language
    if plan.task is Task.BRIEF:
        return {plan.id: _prompts(language)[Task.BRIEF].format(passage=text)}
    if plan.task is not Task.DRAFT:
        return {}
    parts = [text[start:end] for start, end in cut_parts(text)]
    return {draft_id(part): draft_prompt(part, language) for part in parts}


def _prompts(language: str) -> dict[Task, str]:
    return GERMAN if language == "de" else ENGLISH
