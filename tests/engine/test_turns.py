"""Whose sequence runs next inside the engine, as the scheduler's rules say."""

import pytest
from polyscribe_turns import PAUSE_TURNS, TURN_S, TURN_TOKENS, Seats, Sequence, turn_s

SEATS = 8
PAUSE_S = PAUSE_TURNS * TURN_S
LONG_AGO_S, NOW_S = 0.0, 100.0


def running(pool, number=1, *, since_s=LONG_AGO_S, **more):
    facts = {"written": TURN_TOKENS} | more
    return [Sequence(f"{pool}-{index}", pool, since_s, **facts) for index in range(number)]


def newcomer(pool="new", number=0, **more):
    return Sequence(f"{pool}-{number}", pool, NOW_S, **more)


def give(runs, waits, *, slots=8, now_s=NOW_S):
    seats = Seats(runs, seats=SEATS, slots=slots)
    seated, interrupted = seats.give(seats.order(waits), now_s)
    return [one.id for one in seated], [one.pool for one in interrupted]


def test_while_seats_are_free_nobody_is_interrupted():
    assert give(running("a", 7), [newcomer()]) == (["new-0"], [])


def test_a_newcomer_takes_the_seat_of_whoever_has_more_at_once():
    just_begun = running("a", 4, since_s=NOW_S, written=0) + running("b", 4, since_s=NOW_S, written=0)
    assert give(just_begun, [newcomer()])[0] == ["new-0"]


def test_a_request_that_is_wider_than_the_engine_keeps_one_seat_from_nobody():
    waits = [*(newcomer("wide", number) for number in range(9, 17)), newcomer("one")]
    seated, interrupted = give(running("wide", 8), waits)
    assert (seated, interrupted) == (["one-0"], ["wide"])


def test_pools_end_with_equal_shares_and_then_nobody_interrupts_anybody():
    seats = Seats(running("a", 8), seats=SEATS, slots=8)
    waits = [newcomer("b", number) for number in range(8)]
    seated, interrupted = seats.give(seats.order(waits), NOW_S)
    assert (len(seated), [one.pool for one in interrupted]) == (4, ["a"] * 4)
    again = Seats(seats.running, seats=SEATS, slots=8)
    assert again.give(again.order(interrupted), NOW_S + PAUSE_S / 2) == ([], [])


def test_a_pool_of_more_weight_keeps_more_seats():
    light = [*running("light", 2), newcomer("light", 9)]
    assert give(running("heavy", 6, weight=3.0) + light[:2], light[2:]) == ([], [])
    heavy = [*running("heavy", 2, weight=3.0), newcomer("heavy", 9, weight=3.0)]
    assert give(running("light", 6) + heavy[:2], heavy[2:])[1] == ["light"]


@pytest.mark.parametrize(
    ("seated_s", "written", "is_over"),
    [
        (TURN_S / 2, 50, False),
        (TURN_S, TURN_TOKENS, True),
        (TURN_S, 0, False),  # it reads its prompt
        (2 * TURN_S, 0, True),
    ],
)
def test_among_equals_a_newcomer_waits_for_the_end_of_a_turn(seated_s, written, is_over):
    runs = [one for pool in "abcdefgh" for one in running(pool, since_s=NOW_S - seated_s, written=written)]
    assert give(runs, [newcomer()])[0] == (["new-0"] if is_over else [])


def test_who_was_interrupted_comes_back_after_a_pause_and_takes_the_longest_seat():
    runs = [one for at, pool in enumerate("abcdefgh") for one in running(pool, since_s=at)]
    [away] = running("away", since_s=NOW_S + PAUSE_S, is_returning=True)
    assert give(runs, [away], now_s=NOW_S + PAUSE_S / 2) == ([], [])
    assert give(runs, [away], now_s=NOW_S + PAUSE_S) == (["away-0"], ["a"])


def test_who_was_interrupted_waits_for_the_end_of_a_long_turn():
    [away] = running("away", since_s=NOW_S, is_returning=True)
    for seated_s, is_over in ((TURN_S, False), (PAUSE_S, True)):
        runs = [one for pool in "abcdefgh" for one in running(pool, since_s=NOW_S - seated_s)]
        assert bool(give(runs, [away])[0]) is is_over


def test_whoever_would_read_least_again_is_interrupted():
    runs = [one for loss, pool in enumerate("hgfedcba") for one in running(pool, loss=100 - loss)]
    assert give(runs, [newcomer()])[1] == ["a"]
    runs = [
        one
        for at, pool in enumerate("abcd")
        for one in running(pool, since_s=at, adapter=at + 1, loss=9 - at)
    ]
    assert give(runs, [newcomer(adapter=9)], slots=4)[1] == ["d"]


def test_newcomers_go_before_the_interrupted_but_not_for_ever():
    seats = Seats([], seats=1, slots=8)
    [away] = running("away", since_s=NOW_S + PAUSE_S / 2, is_returning=True)
    assert [one.pool for one in seats.order([away, newcomer()])] == ["new", "away"]
    [long_away] = running("away", since_s=NOW_S - PAUSE_S, is_returning=True)
    assert [one.pool for one in seats.order([newcomer(), long_away])] == ["away", "new"]


def test_a_newcomer_whose_adapter_has_no_slot_gets_the_one_that_was_taken_longest():
    runs = [one for at, pool in enumerate("abcd") for one in running(pool, since_s=at, adapter=at + 1)]
    seated, interrupted = give(runs, [newcomer(adapter=9)], slots=4)
    assert (seated, interrupted) == (["new-0"], ["a"])
    shared = [*runs, *running("e", since_s=NOW_S, adapter=1, written=0)]
    assert give(shared, [newcomer(adapter=9)], slots=4)[1] == ["b"]  # somebody has just begun with the first


def test_who_waits_for_a_slot_keeps_nobody_else_from_a_free_seat():
    runs = [one for at, pool in enumerate("ab") for one in running(pool, since_s=NOW_S, adapter=at + 1)]
    assert give(runs, [newcomer(adapter=9), newcomer("base")], slots=2)[0] == ["base-0"]


def test_on_a_slow_engine_turns_are_longer():
    assert turn_s(0.2) == TURN_S
    assert turn_s(5.0) >= 5 * TURN_TOKENS


def test_work_that_nobody_waits_for_leaves_its_seat_to_anyone_and_takes_none():
    background = running("samples", SEATS, since_s=NOW_S, written=0, weight=0.001)
    seated, interrupted = give(background, [newcomer("a", number) for number in range(3)])
    assert seated == ["a-0", "a-1", "a-2"]
    assert interrupted == ["samples"] * 3
    full = running("a", SEATS)
    assert give(full, [newcomer("samples", weight=0.001)]) == ([], [])
    assert give(full[1:], [newcomer("samples", weight=0.001)]) == (["samples-0"], [])
    assert give(full[1:], [newcomer("samples", weight=0.001), newcomer("a", 9)])[0] == ["a-9"]
