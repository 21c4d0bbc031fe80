"""Which books are an author's, and what is taken of them."""

from trials.own_style import find_authors, take_words

LINE = "It was a long line of a wrapped paragraph, as plain text files of novels have them,"


def test_authors_are_those_of_a_language_with_three_books(tmp_path):
    for name in (
        "hill-a-1901",
        "hill-b-1899",
        "hill-c-1903",
        "lake-a-1900",
        "de-tal-a",
        "de-tal-b",
        "de-tal-c",
    ):
        (tmp_path / f"{name}.txt").touch()

    [hill] = find_authors(tmp_path, [])
    [tal] = find_authors(tmp_path, [], language="de")

    assert [book.stem for book in hill.books] == ["hill-b-1899", "hill-a-1901", "hill-c-1903"]
    assert (tal.name, [book.stem for book in tal.books]) == ("tal", ["de-tal-a", "de-tal-b", "de-tal-c"])


def test_so_many_words_are_taken_and_wrapped_lines_joined(tmp_path):
    paragraph = "\n".join([LINE] * 4)
    book = tmp_path / "hill-a-1901.txt"
    book.write_text(f"{paragraph}\n\n{paragraph}\n")
    words = paragraph.split()

    taken = take_words(book, 70, skipped=10)

    assert taken.split("\n\n") == [" ".join(words[10:]), " ".join(words[: 70 - len(words) + 10])]
