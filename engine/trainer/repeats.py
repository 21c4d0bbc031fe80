"""How much of a text a model would say word for word: the first sign of learning by heart.

Memorising begins before the validation loss is at its lowest, and runs of 4 to 6 tokens show it before whole
passages do (arXiv 2510.11372). That paper lets the model go on from a passage's beginning; here one pass over
the passage tells for every token whether the model would have said it next, which costs less than writing one
continuation and looks at every place instead of a few.
"""

ORDERS = (4, 5, 6)  # tokens of a run
# A style learns its author's phrases, so held-out text is repeated more, too, but by less.
MEMORISED_EXCESS = 0.05


def repeat_score(predictions: list[list[bool]]) -> float:
    """Return the share of places from which the next 4, 5 or 6 tokens would be repeated: mean of the three.

    A list is one text: whether each of its tokens is what the model finds most likely after those before.
    """
    return sum(share_of_runs(predictions, order) for order in ORDERS) / len(ORDERS)


def share_of_runs(predictions: list[list[bool]], order: int) -> float:
    """Return the share of the places with `order` tokens before them that end a run of right predictions."""
    places = 0
    runs = 0
    for text in predictions:
        places += max(0, len(text) - order + 1)
        length = 0
        for is_right in text:
            length = length + 1 if is_right else 0
            runs += length >= order
    return runs / places if places else 0.0
