"""Messages of other packages, to the letter, that our catalogues translate: they have none, or say "du"."""

from django.utils.translation import gettext_noop as _

# What zxcvbn/feedback.py says of a password that is easy to guess.
PASSWORD_ADVICE = (
    _("Use a few words, avoid common phrases."),
    _("No need for symbols, digits, or uppercase letters."),
    _("Add another word or two. Uncommon words are better."),
    _("Straight rows of keys are easy to guess."),
    _("Short keyboard patterns are easy to guess."),
    _("Use a longer keyboard pattern with more turns."),
    _('Repeats like "aaa" are easy to guess.'),
    _('Repeats like "abcabcabc" are only slightly harder to guess than "abc".'),
    _("Avoid repeated words and characters."),
    _('Sequences like "abc" or "6543" are easy to guess.'),
    _("Avoid sequences."),
    _("Recent years are easy to guess."),
    _("Avoid recent years."),
    _("Avoid years that are associated with you."),
    _("Dates are often easy to guess."),
    _("Avoid dates and years that are associated with you."),
    _("This is a top-10 common password."),
    _("This is a top-100 common password."),
    _("This is a very common password."),
    _("This is similar to a commonly used password."),
    _("A word by itself is easy to guess."),
    _("Names and surnames by themselves are easy to guess."),
    _("Common names and surnames are easy to guess."),
    _("Capitalization doesn't help very much."),
    _("All-uppercase is almost as easy to guess as all-lowercase."),
    _("Reversed words aren't much harder to guess."),
    _("Predictable substitutions like '@' instead of 'a' don't help very much."),
)

# django-allauth's German says "du".
ALLAUTH = (
    _("Be patient, you are sending too many requests."),
    _("Please type your current password."),
    _("You cannot add more than %d email addresses."),
    _("You cannot remove your primary email address (%(email)s)."),
    _("You cannot remove your primary email address."),
    _("You have confirmed %(email)s."),
    _("You must type the same email each time."),
    _("You must type the same password each time."),
)
