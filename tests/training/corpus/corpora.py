"""Made-up documents: nonsense prose in which no two sentences are alike."""

import random

from training.corpus import CorpusLimits, SourceDocument

SYLLABLES = "ba da fo gu ka la me ni po ra si tu ve wo xa ze lor min tas dur hel".split()  # noqa: SIM905

# Small enough that a property can try hundreds of corpora.
SMALL = CorpusLimits(
    least_words=300,
    small_words=1_000,
    sample_block_words=100,
    least_held_out_words=100,
    least_passage_words=20,
    most_passage_words=150,
)


def make_words(generator: random.Random, count: int) -> list[str]:
    """Return words of two to four syllables."""
    return ["".join(generator.choices(SYLLABLES, k=generator.randint(2, 4))) for _ in range(count)]


def make_paragraph(generator: random.Random, words: int) -> str:
    """Return sentences of up to 25 words each, which have `words` together."""
    sentences = []
    left = words
    while left:
        length = min(left, generator.randint(4, 25))
        sentences.append(" ".join(make_words(generator, length)).capitalize() + ".")
        left -= length
    return " ".join(sentences)


def make_text(seed: object, words: int, paragraph_words: int = 60) -> str:
    """Return paragraphs of about `paragraph_words`, which have `words` together."""
    generator = random.Random(str(seed))
    paragraphs = []
    left = words
    while left:
        length = min(left, generator.randint(paragraph_words // 2, paragraph_words * 3 // 2))
        paragraphs.append(make_paragraph(generator, length))
        left -= length
    return "\n\n".join(paragraphs)


def make_document(
    name: str, words: int, *, language: str = "en", paragraph_words: int = 60
) -> SourceDocument:
    """Return a document whose text depends on its name alone."""
    return SourceDocument(id=name, text=make_text(name, words, paragraph_words), language=language)


def make_documents(count: int, words: int) -> list[SourceDocument]:
    """Return several documents of the same length."""
    return [make_document(f"document-{number}", words) for number in range(count)]


def change_words(text: str, every: int) -> str:
    """Return `text` with every so many words replaced."""
    words = text.split(" ")
    words[every // 2 :: every] = ["otherwise"] * len(words[every // 2 :: every])
    return " ".join(words)
