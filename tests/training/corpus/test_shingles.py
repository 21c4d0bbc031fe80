"""Eight words in a row, and where two texts share them."""

from training.corpus.shingles import hash_shingles, shares_shingle


def test_shingles_depend_on_all_eight_words_and_their_order():
    numbers = list(range(20))
    changed = [*numbers[:9], 99, *numbers[10:]]
    hashes = hash_shingles(numbers)
    changed_hashes = hash_shingles(changed)
    differing = [position for position in range(13) if hashes[position] != changed_hashes[position]]
    assert differing == list(range(2, 10))
    assert set(hash_shingles(numbers[::-1])).isdisjoint(hashes)
    assert hash_shingles(numbers[:7]) == []


def test_a_shared_run_of_eight_words_is_found_whatever_its_punctuation():
    passage = "It was a bright cold day in April, and the clocks were striking thirteen."
    assert shares_shingle("He says it was a BRIGHT, cold day... in april. Then he left.", passage)
    assert not shares_shingle("It was a bright cold day in May, and the clocks were striking six.", passage)
