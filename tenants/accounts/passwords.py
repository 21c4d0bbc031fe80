"""How hard a password must be to guess."""

from django.core.exceptions import ValidationError
from zxcvbn import zxcvbn

from tenants.models import User

LEAST_SCORE = 3  # of 4: more than 10⁸ guesses, zxcvbn's "safely unguessable" against a stolen hash
MOST_READ = 72  # characters; zxcvbn reads no more, and its time grows with the square of the length


class StrengthValidator:
    """Refuse a password that is guessed early; what the person is called counts as known."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError with what makes the password easy to guess."""
        known = ["polyscribe"]
        if user is not None:
            known += [user.email, *user.email.split("@"), user.first_name, user.last_name]
        found = zxcvbn(password[:MOST_READ], user_inputs=[word for word in known if word])
        if found["score"] < LEAST_SCORE:
            advice = [found["feedback"]["warning"], *found["feedback"]["suggestions"]]
            sentences = " ".join(sentence for sentence in advice if sentence)
            raise ValidationError(
                f"This password is easy to guess. {sentences or 'Add another word or two.'}",
                code="password_too_weak",
            )

    def get_help_text(self) -> str:
        """Return what a good password is."""
        return "Three or four unusual words are easy to keep in mind and hard to guess."
