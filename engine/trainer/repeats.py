"""How much of a text the model would repeat word for word: the first sign of memorisation.

Memorisation begins before the validation loss reaches its minimum, and runs of 4 to 6 tokens show it before
whole passages do (arXiv 2510.11372). In that paper, the model continues the beginning of a passage. Here, one
pass over the passage shows for each token whether the model would have generated it next: that costs less
than one continuation, and covers every position instead of a few.
"""

ORDERS = (4, 5, 6)  # tokens of a run
# A style learns its author's phrases, so held-out text is repeated more often, too, but not as much.
MEMORISED_EXCESS = 0.05


def repeat_score(predictions: list[list[bool]]) -> float:
    """Return the share of runs of 4, 5 and 6 tokens that would be repeated: the mean of the three.

    Each list is one text: whether each token is the most likely one after those before it.
    """
    return sum(share_of_runs(predictions, order) for order in ORDERS) / len(ORDERS)


def share_of_runs(predictions: list[list[bool]], order: int) -> float:
    """Return the share of the runs of `order` tokens in which each prediction is correct."""
    positions = 0
    runs = 0
    for text in predictions:
        positions += max(0, len(text) - order + 1)
        length = 0
        for is_correct in text:
            length = length + 1 if is_correct else 0
            runs += length >= order
    return runs / positions if positions else 0.0
