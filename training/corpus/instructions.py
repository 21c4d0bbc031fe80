"""Instructions: everyday requests, answered by the base model itself, among the examples of a style.

A style that only ever learns passages forgets that a letter begins as a letter and a list is a list. So an
example in seven asks for something of the kind, and its answer is what the base model says anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.sentences import sentence_ends
from training.corpus.passages import draw
from training.text import count_words

PERCENT = 15  # of the examples of passages
LEAST_ANSWER_WORDS = 8
MOST_ANSWER_TOKENS = 160
ENDS = (".", "!", "?", "\u201d", '"', "'")

ENGLISH = (
    "Write a short letter to a neighbour about the noise at night.",
    "Write a short letter to thank a friend for a birthday present.",
    "Write a letter to a landlord about a broken window.",
    "Write a short letter to a teacher whose pupil is ill.",
    "Write a letter of four sentences to an old friend.",
    "Write a short letter of complaint about a late train.",
    "Write an e-mail that moves a meeting from Monday to Wednesday.",
    "Write a polite e-mail that turns down an invitation.",
    "Write an e-mail to a colleague who is going to retire.",
    "Write a message that asks a friend to water the plants.",
    "Write a postcard from the sea.",
    "Write an invitation to a summer party.",
    "Write two sentences for the card of a bunch of flowers.",
    "Write a notice: the lift is out of order until Friday.",
    "Write a notice about a lost umbrella.",
    "Write an advertisement for a used bicycle.",
    "Write a short speech for the opening of a library.",
    "Write a toast for a wedding in three sentences.",
    "Write a diary entry about the first snow.",
    "Write a short dialogue between a baker and a customer.",
    "Write a short scene in a waiting room.",
    "Write the beginning of a story about a lighthouse.",
    "Write the beginning of a story that takes place in a train.",
    "Write a story of five sentences about a lost key.",
    "Describe a market in the morning in three sentences.",
    "Describe a storm at sea in a few sentences.",
    "Describe an old kitchen in three sentences.",
    "Describe the walk to a railway station in the rain.",
    "Describe a cat that watches birds.",
    "Write a poem of four lines about autumn.",
    "List three things to pack for a week in the mountains.",
    "List four questions to ask before you rent a flat.",
    "Give three tips for writing a good letter.",
    "Give three reasons to learn a language.",
    "How do I make tea? Answer in three steps.",
    "How does bread rise? Explain it in two sentences.",
    "Why is the sky blue? Answer in two sentences.",
    "What is the difference between a novel and a short story?",
    "What should a good introduction do? Answer in two sentences.",
    "What makes a friend a good friend?",
    "Suggest a title for an essay about patience, and say why.",
    "Suggest two names for a small bookshop.",
    "Rewrite this more politely: Send me the report today.",
    "Rewrite this in one sentence: The bus was late. It was raining. We were cold.",
    "Summarise in one sentence what a museum is for.",
    "Correct this sentence: He don't know where are his glasses.",
    "Explain to a child what a bridge is.",
    "Write a short review of a quiet restaurant.",
)
GERMAN = (
    "Schreib einen kurzen Brief an einen Nachbarn über den Lärm in der Nacht.",
    "Schreib einen kurzen Brief, in dem du dich für ein Geburtstagsgeschenk bedankst.",
    "Schreib einen Brief an die Vermieterin über ein kaputtes Fenster.",
    "Schreib der Lehrerin einen kurzen Brief: Das Kind ist krank.",
    "Schreib einen Brief von vier Sätzen an eine alte Freundin.",
    "Schreib eine kurze Beschwerde über einen verspäteten Zug.",
    "Schreib eine E-Mail, die ein Treffen von Montag auf Mittwoch verschiebt.",
    "Schreib eine höfliche E-Mail, mit der du eine Einladung ausschlägst.",
    "Schreib eine E-Mail an einen Kollegen, der in Rente geht.",
    "Schreib eine Nachricht: Eine Freundin soll die Blumen gießen.",
    "Schreib eine Postkarte vom Meer.",
    "Schreib eine Einladung zu einem Sommerfest.",
    "Schreib zwei Sätze für die Karte an einem Blumenstrauß.",
    "Schreib einen Aushang: Der Aufzug ist bis Freitag außer Betrieb.",
    "Schreib einen Aushang über einen verlorenen Regenschirm.",
    "Schreib eine Anzeige für ein gebrauchtes Fahrrad.",
    "Schreib eine kurze Rede zur Eröffnung einer Bücherei.",
    "Schreib einen Trinkspruch für eine Hochzeit in drei Sätzen.",
    "Schreib einen Tagebucheintrag über den ersten Schnee.",
    "Schreib ein kurzes Gespräch zwischen einer Bäckerin und einem Kunden.",
    "Schreib eine kurze Szene in einem Wartezimmer.",
    "Schreib den Anfang einer Geschichte über einen Leuchtturm.",
    "Schreib den Anfang einer Geschichte, die in einem Zug spielt.",
    "Schreib eine Geschichte von fünf Sätzen über einen verlorenen Schlüssel.",
    "Beschreib in drei Sätzen einen Markt am Morgen.",
    "Beschreib in wenigen Sätzen einen Sturm auf See.",
    "Beschreib in drei Sätzen eine alte Küche.",
    "Beschreib den Weg zum Bahnhof im Regen.",
    "Beschreib eine Katze, die Vögel beobachtet.",
    "Schreib ein Gedicht von vier Zeilen über den Herbst.",
    "Nenne drei Dinge, die man für eine Woche in den Bergen einpackt.",
    "Nenne vier Fragen, die man vor dem Mieten einer Wohnung stellt.",
    "Gib drei Tipps für einen guten Brief.",
    "Nenne drei Gründe, eine Sprache zu lernen.",
    "Wie koche ich Tee? Antworte in drei Schritten.",
    "Warum geht Brotteig auf? Erklär es in zwei Sätzen.",
    "Warum ist der Himmel blau? Antworte in zwei Sätzen.",
    "Was unterscheidet einen Roman von einer Kurzgeschichte?",
    "Was soll eine gute Einleitung leisten? Antworte in zwei Sätzen.",
    "Was macht einen guten Freund aus?",
    "Schlag einen Titel für einen Aufsatz über Geduld vor und begründe ihn.",
    "Schlag zwei Namen für eine kleine Buchhandlung vor.",
    "Formuliere das höflicher: Schick mir heute den Bericht.",
    "Fass das in einem Satz zusammen: Der Bus kam spät. Es regnete. Wir froren.",
    "Sag in einem Satz, wozu ein Museum da ist.",
    "Verbessere diesen Satz: Er weiß nicht, wo sind seine Brille.",
    "Erklär einem Kind, was eine Brücke ist.",
    "Schreib eine kurze Kritik über ein ruhiges Restaurant.",
)


@dataclass(frozen=True)
class Instruction:
    """A request for the base model, and the name under which its answer is kept."""

    id: str
    prompt: str


def choose_instructions(language: str, *, examples: int, seed: int) -> tuple[Instruction, ...]:
    """Return the requests that go with so many examples of passages: the same ones for the same seed."""
    known = GERMAN if language == "de" else ENGLISH
    numbered = [Instruction(f"instruction-{number}", prompt) for number, prompt in enumerate(known)]
    numbered.sort(key=lambda instruction: draw(seed, instruction.id))
    return tuple(numbered[: examples * PERCENT // 100])


def usable_answers(
    instructions: Sequence[Instruction], answers: Mapping[str, str]
) -> list[tuple[Instruction, str]]:
    """Return the requests that have an answer, each with it, up to its last whole sentence."""
    found = []
    for instruction in instructions:
        answer = cut_at_sentence(answers.get(instruction.id, "").strip())
        if count_words(answer) >= LEAST_ANSWER_WORDS:
            found.append((instruction, answer))
    return found


def cut_at_sentence(answer: str) -> str:
    """Return an answer up to its last whole sentence: it may have been cut off."""
    ends = [0, *sentence_ends(answer)]
    return answer if answer.endswith(ENDS) else answer[: ends[-1]].strip()
