"""What a style is asked on the page to write on: one template an action, in English and German.

They are put together in the browser (static/js/write) and go through the data plane like anybody's requests,
so a program that sends the same prompt gets the same. Rewriting is asked as trainings ask it: a style from
somebody's own texts has learned these words (training/corpus/examples.py), and drawn as the evidence measures
it (training/runs/rewriting.py).
"""

from training.corpus.examples import wordings

REWRITE = 2  # of the wordings: "Rewrite the following in my style."

PROMPTS = {
    "en": {
        "rewrite": wordings("en").draft[REWRITE].replace("{draft}", "{text}"),
        "shorten": "Rewrite the following in my style, in about {words} words.\n\n{text}",
        "expand": "Rewrite the following in my style, in more detail, in about {words} words.\n\n{text}",
        "differently": "Rewrite the following in my style, in other words.\n\n{text}",
        "own": "Rewrite the following in my style: {wish}.\n\n{text}",
        "continue": "Continue this text.",
    },
    "de": {
        "rewrite": wordings("de").draft[REWRITE].replace("{draft}", "{text}"),
        "shorten": "Schreib den folgenden Text in meinem Stil um, mit etwa {words} Wörtern.\n\n{text}",
        "expand": "Schreib den folgenden Text in meinem Stil um, ausführlicher, in etwa {words} Wörtern."
        "\n\n{text}",
        "differently": "Schreib den folgenden Text in meinem Stil um, mit anderen Worten.\n\n{text}",
        "own": "Schreib den folgenden Text in meinem Stil um: {wish}.\n\n{text}",
        "continue": "Schreib diesen Text weiter.",
    },
}
