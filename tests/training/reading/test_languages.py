"""Which language a text is in."""

import pytest

from training.reading.languages import TABLES, detect_language

# The first article of the Universal Declaration of Human Rights and a sentence of everyday prose behind it.
TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood. She was not at home when he came to the door.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und "
    "sollen einander im Geist der Brüderlichkeit begegnen. Sie war nicht zu Hause, als er an die Tür kam.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité. Elle n'était pas chez elle.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
    "conciencia, deben comportarse fraternalmente los unos con los otros. Ella no estaba en casa cuando él llegó.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
    "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza. Non era a casa quando lui arrivò.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, "
    "devem agir uns para com os outros em espírito de fraternidade. Ela não estava em casa quando ele chegou.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, "
    "en behoren zich jegens elkander in een geest van broederschap te gedragen. Zij was niet thuis toen hij kwam.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete och bör "
    "handla gentemot varandra i en anda av broderskap. Hon var inte hemma när han kom till dörren.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i "
    "sumieniem i powinni postępować wobec innych w duchu braterstwa. Nie było jej w domu, kiedy on przyszedł do drzwi.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_few_sentences_tell_the_language(language):
    assert detect_language(TEXTS[language]) == language


@pytest.mark.parametrize("text", ["", "Hello.", "1 2 3 " * 100, "xyzzy plugh frotz " * 30])
def test_a_text_that_does_not_tell_has_none(text):
    assert detect_language(text) == ""


def test_danish_and_norwegian_are_never_taken_for_another_language():
    danish = "Alle mennesker er født frie og lige i værdighed og rettigheder. De er udstyret med fornuft og samvittighed, og "
    assert detect_language(danish + "de bør handle mod hverandre i en broderskabets ånd.") in ("da", "")


def test_tables_name_no_word_twice_in_one_language_by_mistake():
    assert all(len(table) >= 50 for table in TABLES.values())
