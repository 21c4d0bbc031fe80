"""What reading and corpus both know about text: its words, in any script, and its language.

The child that reads strangers' files imports this module: nothing here may import Django or NumPy.
"""

import re
import unicodedata
from collections import Counter

# A word is what a writer would count. Scripts without spaces have no such thing: a Chinese or Japanese
# character counts as one, as in word processors, and so do five letters of Thai, Lao, Burmese or Khmer.
# Whatever else runs on without a space counts as one word per 40 characters: no long text has few words.
CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Accents and vowel signs, which \w leaves out: combining marks, Hebrew, Arabic, the scripts of India.
MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u200c\u200d"
LETTERS = rf"[^\W{CJK}{SOUTH_EAST_ASIAN}]{{1,40}}"
WORD = re.compile(
    rf"{LETTERS}(?:(?:[{MARKS}]{{1,8}}|['\u2019-]){LETTERS}){{0,7}}[{MARKS}]{{0,8}}"
    rf"|[{CJK}]"
    rf"|[{SOUTH_EAST_ASIAN}]{{1,5}}"
    r"|(?:[^\w\s]\s*+){40}"
)


def count_words(text: str) -> int:
    """Return the number of words in `text`; "well-known" and "don't" are one each."""
    # One at a time: the child that reads a document has no memory for a list of a million words.
    return sum(1 for _ in WORD.finditer(text))


def normalize_word(word: str) -> str:
    """Return the form in which words are compared: one case, one kind of apostrophe, composed letters."""
    return unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'")


def normalize_words(text: str) -> list[str]:
    """Return the words of `text` as they are compared."""
    return [normalize_word(word) for word in WORD.findall(text)]


# Which language a text is in, by its most common words, or by its script where that decides.
#
# A table of function words is enough for whole documents and takes a millisecond. Measured in November 2026:
# py3langid 0.4 takes 0.7 s to import, 1.1 s for its first answer and 130 MB.

SAMPLE_CHARACTERS = 60_000  # from three parts: a foreword may be in another language
LEAST_WORDS = 20
LEAST_SHARE = 0.12  # of all words; prose of a known language has 0.25 to 0.45
LEAST_LEAD = 1.25  # over the next language: Danish and Norwegian share most of these words
WORD_PARTS = re.compile(
    r"[^\W\d_]+"
)  # parts of words, too: French and Italian have `l` and `qu` before a word

WORD_LISTS = {
    "en": (
        "the of and to in a that was he it his is with as for had you not be her on at by which have or "
        "from this but all she they were my are me one their so an said them we who would been will no "
        "when there if more out what up into do any your about could very has him"
    ),
    "de": (
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an "
        "werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war "
        "haben nur oder aber vor zur bis mehr durch man ich du ihr ihm mir mich daß doch da wenn"
    ),
    "fr": (
        "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont "
        "elle je mais avec son lui nous comme ou si leur y dont aux cette était vous sa ses avait tout "
        "c d l qu n s j on même bien où"
    ),
    "es": (
        "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le "
        "ha me si sin sobre este ya entre cuando todo esta ser son dos también fue había era muy años "
        "hasta desde está mi porque qué él"
    ),
    "it": (
        "di e il la che in a per un del è non della una i le con si da dei come al nel lo ma più gli "
        "sono alla ha delle ed anche o se dal nella suo io mi ci era aveva sua questo quando cui così "
        "dell l po tutto lui disse perché poi"
    ),
    "pt": (
        "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele "
        "das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre "
        "era depois sem mesmo aos ter seus quem"
    ),
    "nl": (
        "de van het een en in is dat op te zijn met voor niet aan er die om ook als maar dan hij ze bij "
        "nog uit naar was heeft door over je ik had hem werd wordt tot wat zij deze haar of geen kan "
        "meer we toen dit mijn worden zou daar"
    ),
    "sv": (
        "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi "
        "så kan när år under också efter eller nu sin där vid mot ska skulle kommer ut får finns vara "
        "hade alla andra mycket än hon upp blev"
    ),
    "da": (
        "og i at det er en til af på for med den de som ikke der han et har var jeg vi men fra om sig "
        "kan så ved hun havde blev efter nu ud ham skal eller kunne op når være år mod noget også hvor "
        "hvad mig her mit uden selv"
    ),
    "no": (
        "og i det er på som en til av for at med de har ikke den han var et om jeg fra men så kan seg "
        "ved hun hadde ble etter nå ut ham skal eller kunne opp når være år mot noe også hvor hva meg "
        "her mitt uten selv fram enn"
    ),
    "pl": (
        "i w na nie się z do to że jest o a jak po co tak za od jego ale przez dla był czy być już jej "
        "tym tylko są było ich ze może go mnie ma która który jako gdy mi pan ja jeszcze lub też bo "
        "sobie niż"
    ),
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in WORD_LISTS.items()}

# A script decides alone; kana come before ideographs, because Japanese has both.
SCRIPTS = (
    ("ja", re.compile("[\u3041-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("uk", re.compile("[іїєґІЇЄҐ]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
)
# Ideographs are whole words, and a language written with others uses its own marks in every word or two.
LEAST_OF_SCRIPT = {"ja": 0.15, "uk": 0.03}
LEAST_OF_OTHERS = 0.4


def detect_language(text: str) -> str:
    """Return a text's language (ISO 639-1), or "" if it is unclear."""
    sample = _take_sample(text)
    return _detect_script(sample) or _detect_words(sample)


def _take_sample(text: str) -> str:
    if len(text) <= SAMPLE_CHARACTERS:
        return text
    part = SAMPLE_CHARACTERS // 3
    middle = (len(text) - part) // 2
    return f"{text[:part]} {text[middle : middle + part]} {text[-part:]}"


def _detect_script(sample: str) -> str:
    letters = sum(map(len, WORD_PARTS.findall(sample)))
    for language, script in SCRIPTS:
        share = len(script.findall(sample)) / max(1, letters)
        if share >= LEAST_OF_SCRIPT.get(language, LEAST_OF_OTHERS):
            return language
    return ""


def _detect_words(sample: str) -> str:
    words = Counter(WORD_PARTS.findall(sample.lower()))
    total = words.total()
    if total < LEAST_WORDS:
        return ""
    shares: dict[str, float] = {}
    for language, function_words in FUNCTION_WORDS.items():
        shares[language] = sum(words[word] for word in function_words) / total
    (best, share), (_, next_share) = sorted(shares.items(), key=lambda item: -item[1])[:2]
    is_clear = share >= LEAST_SHARE and share >= LEAST_LEAD * next_share
    return best if is_clear else ""


# Words that say nothing about what a text is about, and words with a capital that are nobody's name.

# Beyond their function words, English and German have these.
FURTHER = {
    "en": """
        above across after again against ago almost along already also although always am among another anyone
        anything aren't around away back became because become before began behind being below beside besides
        between beyond both call called came can can't cannot come couldn't day days did didn't does doesn't
        doing don't done down during each either else enough even ever every everyone everything far few first
        get give given go going gone good got great hadn't half hasn't haven't having he'd he'll he's hence
        here hers herself himself how however i i'd i'll i'm i've indeed instead isn't it's its itself just
        kept knew know known last later least left less let like little long look looked looking made make
        making man many may mean men might mine most much must myself near nearly neither never next nobody
        none nor nothing now off often oh old once only onto other others otherwise ought our ours ourselves
        over own part perhaps place put quite rather really right round same saw say says see seem seemed seen
        several shall she'd she'll she's should shouldn't since some someone something sometimes soon still
        such take taken tell than that's thee theirs themselves then there's therefore these they'd they're
        they've thing things think those thou though thought three through thus thy till time today together
        told too took toward towards turn turned two under until upon us use used want wanted wasn't way we'd
        we'll we're we've well went weren't what's whatever whenever where whether while who's whole whom
        whose why within without woman won't word words wouldn't year years yes yet you'd you'll you're you've
        yours yourself asked answered cried replied sat stood mr mrs miss sir dr chapter
    """,
    "de": """
        ab alle allein allem allen aller alles also alt alte alten andere anderem anderen anderer anderes
        anders bald beide beiden beim bin bist bitte bleiben blieb dabei dadurch dafür dagegen daher dahin
        damals damit danach daneben dann daran darauf daraus darf darin darum darunter darüber davon davor
        dazu dein deine deinem deinen deiner denen denn dennoch deren derselbe deshalb dessen dich dies diese
        diesem diesen dieser dieses dir dort dürfen eben ebenso eigentlich eines einfach einige einigen einmal
        erst erste ersten etwa etwas euch euer eure fast ganz ganze ganzen gar geben gegen gegenüber gehabt
        gehen geht gemacht genug gerade gern gesagt gewesen gewiß gewiss geworden ging gleich groß große
        großen gut gute guten habe habt hast hatte hatten hätte hätten her herr herrn heute hier hin hinter
        ihn ihnen ihre ihrem ihren ihrer ihres immer indem ins ja jahr jahre je jede jedem jeden jeder jedes
        jedoch jene jenem jenen jener jenes jetzt kam kamen kann kannst kein keine keinem keinen keiner kommen
        kommt konnte konnten könne können könnte lassen ließ machen macht machte manche mal mein meine meinem
        meinen meiner meint muss musst musste muß mußte möchte mögen müssen nachdem nein nichts nie niemand
        nun ob oben ohne recht sagen sagt sagte sah schon sehen sehr sei seien sein seine seinem seinen seiner
        seines seit selber selbst sieht sobald sogar solch solche solchen sollen sollte sollten sondern sonst
        soviel stand statt tag tage tun tut uns unser unsere unserem unseren unserer unter viel viele vielen
        vielleicht vom ward waren warum was weg wegen weil weiter weiß welche welchem welchen welcher welches
        wenig wer werde weshalb wieder will wir wirklich wissen wo wohl wollen wollte wollten worden wurde
        wurden während wäre wären würde würden zeit zuerst zurück zusammen zwar zwei zwischen überhaupt frau
        fräulein kapitel
    """,
}
STOP_WORDS = {
    language: function_words | set(FURTHER.get(language, "").split())
    for language, function_words in FUNCTION_WORDS.items()
}
# These have a capital and are no names of somebody or some place in a book.
CAPITALS = """
    lord lady master mister madam doctor captain colonel major general professor inspector father mother
    brother sister aunt uncle papa mamma mama king queen prince princess duke duchess count countess earl
    baron squire judge bishop god heaven nature providence church christ jesus bible monday tuesday
    wednesday thursday friday saturday sunday january february march april may june july august september
    october november december christmas easter english englishman englishmen french german spanish italian
    american european christian catholic protestant roman latin greek jew jews england france germany
    italy america europe onkel tante vetter gott herrgott christus majestät exzellenz montag dienstag
    mittwoch donnerstag freitag samstag sonntag
    """
EVERYDAY = STOP_WORDS["en"] | STOP_WORDS["de"] | set(CAPITALS.split())


def stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language (ISO 639-1); none where its function words aren't known."""
    return STOP_WORDS.get(language, frozenset())
