"""Texts by made-up writers: each draws words from the same list, with preferences of his own."""

import numpy as np

LIST = """
    the of and to in a that was he it his is with as for had you not be her on at by which have or from this
    but all she they were my are me one their so an said them we who would been will no when there if more
    out what up into do any your about could very has him harbour winter letter window garden stranger bridge
    morning quiet walked carried opened answered remember heavy bright narrow nobody slowly perhaps
"""
WORDS = LIST.split()


def write_passages(seed: int, *, count: int, words: int = 200) -> list[str]:
    """Return passages of the writer with this seed, in sentences of 12 words."""
    preferences = np.random.default_rng(seed).dirichlet(np.full(len(WORDS), 0.6))
    generator = np.random.default_rng((seed, 1))
    passages = []
    for _ in range(count):
        drawn = [WORDS[number] for number in generator.choice(len(WORDS), size=words, p=preferences)]
        sentences = [" ".join(drawn[start : start + 12]) for start in range(0, words, 12)]
        passages.append(" ".join(f"{sentence.capitalize()}." for sentence in sentences))
    return passages
