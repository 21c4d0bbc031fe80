"""A plain linear SVM, to compare the verifier with: squared hinge loss, by dual coordinate descent.

The algorithm is LIBLINEAR's (Hsieh et al. 2008, algorithm 1), on inner products that many SVMs share.
"""

import numpy as np
from numpy.typing import NDArray

EPOCHS = 30
COST = 1.0  # LIBLINEAR's default


def train_svm(products: NDArray[np.float64], is_own: NDArray[np.bool_], *, seed: int) -> NDArray[np.float64]:
    """Return one coefficient a row: the sum of the rows so weighted separates own rows from the others.

    `products` are the rows' inner products, with 1 added for a bias. Both classes weigh the same in all.
    """
    count = len(is_own)
    signs = np.where(is_own, 1.0, -1.0)
    costs = COST * np.where(is_own, count / (2 * is_own.sum()), count / (2 * (~is_own).sum()))
    diagonal = products.diagonal() + 0.5 / costs
    multipliers = np.zeros(count)
    scores = np.zeros(count)  # of each row, without its own slack
    generator = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for row in generator.permutation(count):
            slope = signs[row] * scores[row] - 1 + multipliers[row] * 0.5 / costs[row]
            new = max(0.0, multipliers[row] - slope / diagonal[row])
            change = new - multipliers[row]
            if change:
                multipliers[row] = new
                scores += change * signs[row] * products[row]
    return multipliers * signs
