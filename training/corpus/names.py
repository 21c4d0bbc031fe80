"""Names: which words of a corpus are people and places, by their capitals and the words around.

In German every noun has a capital, so a name there is what is used like one: hardly ever after an article or
an adjective, but after a title, beside a verb, or between commas.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from training.corpus.common_names import COMMON_NAMES, Kind
from training.corpus.passages import Passage
from training.corpus.stop_words import EVERYDAY
from training.text.languages import FUNCTION_WORDS
from training.text.words import WORD, normalize_word

LEAST_LETTERS = 3
OFTEN = 3  # names that are there more rarely are hardly learned; any German noun may lack an article twice
# Of so many times, a noun or a title follows an article at least once, a German noun that hardly ever does an
# adjective, and a German name is used like one.
ARTICLE_SHARE, ADJECTIVE_SHARE, USE_SHARE = 10, 3, 6
# After these, a capital means nothing: sentences and quotations begin with one.
OPENING_MARKS = "\"'\u201c\u201e\u2018«»("
SENTENCE_START = re.compile(rf"[.!?…:\n{OPENING_MARKS}][\s{OPENING_MARKS}\u201d\u2019\[\u2014\u2013_*-]*\Z")
TITLE = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|St|Mme|Mlle|Rev|Capt|Col|Hr|Frl)\.\s_?\Z"
)  # whose dot ends no sentence
ARTICLES = {
    "de": re.compile(
        r"\b(?:d(?:er|ie|as|en|em|es)|(?:[mds]?ein|kein|ihr|unser|euer|eur)(?:e[rnms]?)?"
        r"|(?:dies|jen|jed|welch|manch|solch|all|viel)e[rnms]?|[ia]m|zu[mr]|vom|beim|[ia]ns|aufs)\s_?\Z",
        re.IGNORECASE,
    ),
    "en": re.compile(r"\b(?:the|an?)\s_?\Z", re.IGNORECASE),
}
# What ends in -te or -ten is mostly a verb.
GERMAN_ADJECTIVE = re.compile(r"\b([a-zäöüß]{2,}(?:e[mrs]|(?<!t)en?))\s_?\Z")
GERMAN_NOUN = re.compile(r"(?:keit|heit|schaft|tät|ion|ung)(?:en)?\Z|(?:chen|lein|nis)\Z")
BEFORE_NAME = re.compile(
    r"\b(?:Frau|Herrn?|Fräulein|Doktor|Graf|Baron|Onkel|Tante|Vetter|sagte|fragte|rief|meinte|sprach|antwortete"
    r"|erwiderte)\s_?\Z"
)
AFTER_NAME = re.compile(
    r"_?\s(?:[a-zäöüß]+te|war|ist|hat|kam|ging|stand|saß|sah|rief|will|soll|kann|muß|wird|wurde|nahm|trat|schwieg)\b"
)
MARK_BEFORE = re.compile(rf"[,;.!?\u2013\u2014{OPENING_MARKS}]\s?_?\Z")
MARK_AFTER = re.compile(r"_?[,!?]")
CONTEXT = 24  # characters
NAME_ENDING = re.compile("(?:['\u2019][a-z]{1,2}|s)\\Z")  # 'll and 'd, the German genitive, a family's plural
KNOWN = {
    normalize_word(name)
    for kind in (Kind.WOMAN, Kind.MAN, Kind.PLACE)  # many a German family is also a noun
    for name in COMMON_NAMES["de"][kind]
}
HAN_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{2,}")


class NameIndex:
    """Which words of a corpus are names.

    A name is a word that has a capital within sentences, more often than not; in German one that is there
    three times or more and used like a name.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.capitals: Counter[str] = Counter()  # how much more often a word has a capital than not
        # How often a word with a capital follows an article or an adjective, and is used like a name.
        self._articles: Counter[str] = Counter()
        self._adjectives: Counter[str] = Counter()
        self._uses: Counter[str] = Counter()
        for passage in passages:
            for term, position in terms(passage.text):
                self._count(passage, term, position)

    def is_name(self, form: str, language: str) -> bool:
        """Return whether a word, in its compared form, is the name of somebody or something."""
        return self.is_often_named(form, language) if language == "de" else self.capitals[form] > 0

    def is_often_named(self, form: str, language: str) -> bool:
        """Return whether a word is a name that is there three times or more, and not a title or a weekday."""
        times = self.capitals[form]
        if times < OFTEN or form in EVERYDAY or self._articles[form] * ARTICLE_SHARE >= times:
            return False
        is_described = self._adjectives[form] * ADJECTIVE_SHARE >= times
        is_used = self._uses[form] * USE_SHARE >= times and not GERMAN_NOUN.search(form)
        return language != "de" or form in KNOWN or (is_used and not is_described)

    def find(self, text: str, language: str) -> list[tuple[int, int]]:
        """Return where such names are in a text, without endings: from a position up to before another."""
        spans = []
        for term, position in terms(text):
            for name in (NAME_ENDING.sub("", term), term):
                if name[:1].isupper() and self.is_often_named(normalize_word(name), language):
                    spans.append((position, position + len(name)))
                    break
        return spans

    def _count(self, passage: Passage, term: str, position: int) -> None:
        form = normalize_word(term)
        if term[0].islower():
            self.capitals[form] -= 1
        if not term[0].isupper():
            return
        before = passage.text[max(0, position - CONTEXT) : position]
        starts_sentence = not before or (SENTENCE_START.search(before) and not TITLE.search(before))
        self.capitals[form] += not starts_sentence
        article = ARTICLES.get(passage.language)
        self._articles[form] += article is not None and article.search(before) is not None
        if passage.language == "de":
            after = passage.text[position + len(term) :][:CONTEXT]
            self._adjectives[form] += _ends_in_adjective(before)
            self._uses[form] += _is_used_as_name(before, after)


def terms(text: str) -> Iterator[tuple[str, int]]:
    """Yield words of three letters and more and pairs of Han signs, with their positions."""
    for match in WORD.finditer(text):
        whole = match.group().lstrip("_")
        word = whole.rstrip("_").removesuffix("'s").removesuffix("\u2019s")
        if len(word) >= LEAST_LETTERS and word[0].isalpha() and not word.startswith(("I'", "I\u2019")):
            yield word, match.end() - len(whole)
    for run in HAN_RUN.finditer(text):
        for offset in range(len(run.group()) - 1):
            yield run.group()[offset : offset + 2], run.start() + offset


def _ends_in_adjective(before: str) -> bool:
    adjective = GERMAN_ADJECTIVE.search(before)
    return adjective is not None and adjective.group(1) not in FUNCTION_WORDS["de"]


def _is_used_as_name(before: str, after: str) -> bool:
    if BEFORE_NAME.search(before) or AFTER_NAME.match(after):
        return True
    return bool(MARK_BEFORE.search(before) and MARK_AFTER.match(after))
