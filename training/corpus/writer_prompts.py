"""What a writer, the served base model, is asked for: a brief or a neutral draft of a passage."""

from training.corpus.examples import ExamplePlan, Task

ENGLISH = {
    Task.BRIEF: (
        "Below is a passage. Write the request that someone could have sent to its author to get it: what "
        "it is about, who and what comes up, in which order. Use one to three plain sentences of at most "
        "60 words in total. Don't quote the passage and don't describe its style. Reply with the request "
        "only.\n\n{passage}"
    ),
    Task.DRAFT: (
        "Rewrite the following passage in plain, neutral words, as a news agency would. Keep every fact, "
        "the order and about the length. Don't keep its phrases, images or jokes. Reply with the "
        "rewritten passage only.\n\n{passage}"
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
        "Schreiben Sie die folgende Passage in schlichten, neutralen Worten um, wie es eine "
        "Nachrichtenagentur täte. Alle Tatsachen, die Reihenfolge und ungefähr die Länge bleiben. "
        "Wendungen, Bilder und Scherze bleiben nicht. Antworten Sie nur mit der umgeschriebenen "
        "Passage.\n\n{passage}"
    ),
}


def writer_prompt(plan: ExamplePlan) -> str | None:
    """Return what a writer is asked for a plan, in the passage's language; None where none is needed."""
    prompts = GERMAN if plan.passage.language == "de" else ENGLISH
    prompt = prompts.get(plan.task)
    return prompt.format(passage=plan.passage.text) if prompt else None
