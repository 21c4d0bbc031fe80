from core.errors import DomainError, NotFound


class NoSuchStyle(NotFound):
    """There is no style "{slug}";
    look at the catalogue."""


def test_the_docstring_is_the_message_and_facts_fill_it():
    error = NoSuchStyle(slug="haiku")
    assert str(error) == error.message == 'There is no style "haiku"; look at the catalogue.'
    assert error.facts == {"slug": "haiku"}


def test_the_code_is_the_name_in_snake_case_unless_the_class_says_another():
    class Unreachable(NotFound):
        """We can't reach it."""

        code = "storage_unavailable"

    assert NoSuchStyle(slug="haiku").code == "no_such_style"
    assert Unreachable().code == "storage_unavailable"


def test_a_message_of_its_own_wins():
    assert str(DomainError("Not on Sundays.")) == "Not on Sundays."
