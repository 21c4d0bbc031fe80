from collections.abc import Iterator

from core.streaming import BYTES_AT_ONCE, StreamedResponse

LINES_AT_ONCE = BYTES_AT_ONCE // 8


def make_lines(made: list[int], total: int) -> Iterator[str]:
    """Yield lines of eight bytes, and before each an empty part."""
    for number in range(total):
        yield ""
        made.append(number)
        yield f"{number:07}\n"


async def test_a_long_answer_is_not_made_before_it_is_sent():
    made: list[int] = []
    parts = aiter(StreamedResponse(make_lines(made, 3 * LINES_AT_ONCE)))

    first = await anext(parts)

    assert len(made) == LINES_AT_ONCE
    assert len(first) == BYTES_AT_ONCE
    whole = first + b"".join([part async for part in parts])
    assert whole.split() == [f"{number:07}".encode() for number in range(3 * LINES_AT_ONCE)]


async def test_large_parts_are_not_gathered():
    made: list[int] = []

    def blocks() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes(2 * BYTES_AT_ONCE)

    first = await anext(aiter(StreamedResponse(blocks())))
    assert (len(first), made) == (2 * BYTES_AT_ONCE, [0])


async def test_empty_parts_end_nothing():
    lines = [""] * 1000 + ["last"]
    assert [part async for part in StreamedResponse(lines)] == [b"last"]


def test_a_server_without_asgi_gets_the_same():
    assert b"".join(StreamedResponse(["a", "b"])) == b"ab"
