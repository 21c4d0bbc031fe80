"""What styles cost in old months: the rows that migration 0021 writes say what the price books said."""

from importlib import import_module

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profiles import examples

migration = import_module("tenants.migrations.0021_style_prices_from_books")

STYLES = ("noir", "poetry", "letters")
prices = st.fixed_dictionaries({"output_nanousd": st.integers(0, 2), "author_percent": st.integers(0, 2)})
# One book a day, each with the prices of some styles.
books = st.lists(st.dictionaries(st.sampled_from(STYLES), prices), max_size=8)


@given(books)
@settings(max_examples=examples(300))
def test_each_style_costs_at_any_moment_what_the_book_in_force_said(books):
    rows = list(migration.changes_of(enumerate(books)))
    for day in range(len(books)):
        for style in STYLES:
            by_book = books[day].get(style, migration.GENERAL)
            begun = [price for of, begins, price in rows if of == style and begins <= day]
            assert (begun[-1] if begun else migration.GENERAL) == by_book
    assert len(rows) == len({(style, begins) for style, begins, _ in rows})
