from collections.abc import Iterator

from foundation.streaming import PARTS_AT_ONCE, StreamedResponse


def count_lines(made: list[int], total: int) -> Iterator[str]:
    for number in range(total):
        made.append(number)
        yield f"{number}\n" if number % 2 else ""


async def test_a_long_answer_is_not_made_before_it_is_sent():
    made: list[int] = []
    parts = aiter(StreamedResponse(count_lines(made, 3 * PARTS_AT_ONCE)))

    first = await anext(parts)

    assert len(made) == PARTS_AT_ONCE
    whole = first + b"".join([part async for part in parts])
    assert whole.decode().split() == [str(number) for number in range(1, 3 * PARTS_AT_ONCE, 2)]


async def test_empty_parts_end_nothing():
    lines = [""] * (2 * PARTS_AT_ONCE) + ["last"]
    assert [part async for part in StreamedResponse(lines)] == [b"last"]


def test_a_server_without_asgi_gets_the_same():
    assert b"".join(StreamedResponse(["a", "b"])) == b"ab"
