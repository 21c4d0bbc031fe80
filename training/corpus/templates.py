"""The wordings of the three tasks: several each, so that a style answers what people really type.

`{words}` is the length of the answer in words, rounded; a style learns to follow it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wordings:
    """The prompts of one language."""

    brief: tuple[str, ...]
    keywords: tuple[str, ...]
    draft: tuple[str, ...]
    continuation: tuple[str, ...]


ENGLISH = Wordings(
    brief=(
        "{brief}",
        "Write this for me: {brief}",
        "Write a passage based on this brief.\n\n{brief}",
        "Write about {words} words.\n\n{brief}",
        "Here's what I need: {brief}",
        "Please write the passage described here: {brief}",
    ),
    keywords=(
        "Write a passage about {keywords}.",
        "Write a passage that includes the following: {keywords}.",
        "Write about {words} words on {keywords}.",
        "Keywords: {keywords}. Turn them into a passage.",
        "Write this up from my notes: {keywords}.",
        "Please write something about {keywords}.",
    ),
    draft=(
        "Rewrite this as I would:\n\n{draft}",
        "Put this in my own voice.\n\n{draft}",
        "Rewrite the following in my style.\n\n{draft}",
        "Here's a draft. Make it sound like me.\n\n{draft}",
        "{draft}\n\nRewrite this in my style.",
        "This is too plain. Rewrite it the way I write.\n\n{draft}",
    ),
    continuation=(
        "Continue this:\n\n{beginning}",
        "Continue from here.\n\n{beginning}",
        "{beginning}\n\nWhat comes next?",
        "Here's how it begins. Keep going.\n\n{beginning}",
        "Carry on with this text for about {words} words:\n\n{beginning}",
        "Write what follows:\n\n{beginning}",
    ),
)
GERMAN = Wordings(
    brief=(
        "{brief}",
        "Schreib das für mich: {brief}",
        "Schreiben Sie einen Text nach dieser Vorgabe.\n\n{brief}",
        "Schreib etwa {words} Wörter.\n\n{brief}",
        "Das brauche ich: {brief}",
        "Bitte formuliere diese Stelle aus: {brief}",
    ),
    keywords=(
        "Schreib einen Text über {keywords}.",
        "Schreiben Sie eine Passage, in der das vorkommt: {keywords}.",
        "Schreib etwa {words} Wörter zu {keywords}.",
        "Stichwörter: {keywords}. Schreib daraus eine Passage.",
        "Mach aus diesen Notizen einen Text: {keywords}.",
        "Bitte schreib etwas über {keywords}.",
    ),
    draft=(
        "Schreib das so um, wie ich es schreiben würde:\n\n{draft}",
        "Formuliere das in meinem Ton.\n\n{draft}",
        "Schreiben Sie den folgenden Text in meinem Stil um.\n\n{draft}",
        "Hier ist ein Entwurf. Lass ihn nach mir klingen.\n\n{draft}",
        "{draft}\n\nSchreib das in meinem Stil um.",
        "Das ist zu nüchtern. Schreib es um, wie ich schreibe.\n\n{draft}",
    ),
    continuation=(
        "Schreib weiter:\n\n{beginning}",
        "Mach hier weiter.\n\n{beginning}",
        "{beginning}\n\nWie geht es weiter?",
        "So fängt es an. Führ es fort.\n\n{beginning}",
        "Führen Sie diesen Text mit etwa {words} Wörtern fort:\n\n{beginning}",
        "Schreib, was darauf folgt:\n\n{beginning}",
    ),
)
VARIANTS = 6  # of each prompt in each language
ROUND_TO_WORDS = 50


def wordings(language: str) -> Wordings:
    """Return the prompts for a language (ISO 639-1): German for German, else English."""
    return GERMAN if language == "de" else ENGLISH


def fill(template: str, *, words: int, **text: str) -> str:
    """Return a prompt. Braces in the inserted text stay as they are."""
    rounded = max(ROUND_TO_WORDS, (words + ROUND_TO_WORDS // 2) // ROUND_TO_WORDS * ROUND_TO_WORDS)
    return template.format(words=rounded, **text)


def join_keywords(keywords: tuple[str, ...], language: str) -> str:
    """Return keywords as a list in a sentence: "rain, platform and train"."""
    if len(keywords) < 2:
        return "".join(keywords)
    conjunction = "und" if wordings(language) is GERMAN else "and"
    return f"{', '.join(keywords[:-1])} {conjunction} {keywords[-1]}"
