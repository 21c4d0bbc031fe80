"""How hard a password must be to guess."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from zxcvbn import zxcvbn

from tenants.models import User

MIN_SCORE = 3  # of 4: more than 10⁸ guesses, zxcvbn's "safely unguessable" against a stolen hash
MAX_CHARACTERS = 72  # zxcvbn reads no more, and its time grows with the square of the length


class StrengthValidator:
    """Refuse a password that is easy to guess. A guesser knows the person's name and address."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError with what makes the password easy to guess."""
        known_words = ["polyscribe"]
        if user is not None:
            known_words += [user.email, *user.email.split("@"), user.first_name, user.last_name]
        guessing = zxcvbn(password[:MAX_CHARACTERS], user_inputs=list(filter(None, known_words)))
        if guessing["score"] >= MIN_SCORE:
            return
        feedback = guessing["feedback"]
        # As foreign_messages lists them.
        sentences = [gettext(said) for said in (feedback["warning"], *feedback["suggestions"]) if said]
        advice = " ".join(sentences) or gettext("Add another word or two.")
        raise ValidationError(
            gettext("This password is easy to guess. {advice}").format(advice=advice),
            code="password_too_weak",
        )

    def get_help_text(self) -> str:
        """Return what a good password is."""
        return gettext("Three or four uncommon words are easy to remember and hard to guess.")
