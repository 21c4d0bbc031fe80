"""What can go wrong with styles and engines."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import Conflict, DomainError, FieldsRefused, Invalid, NotFound, Unavailable
from core.messages import Fact, Message


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an adapter: its code and facts. `validation.problems` has the words."""

    code: str
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)

    @property
    def sentence_message(self) -> Message:
        """What is wrong, stored for a later reader."""
        return Message(f"adapters.finding_sentence.{self.code}", self.facts)

    @property
    def fix_message(self) -> Message:
        """How to fix it, stored for a later reader."""
        return Message(f"adapters.finding_fix.{self.code}", self.facts)

    @property
    def sentence(self) -> str:
        """What is wrong, in plain words of the active language."""
        return str(self.sentence_message)

    @property
    def fix(self) -> str:
        """The one thing to do about it, in the active language."""
        return str(self.fix_message)

    @property
    def tensor(self) -> str:
        """The tensor that has the fault, if it is one."""
        return str(self.facts.get("tensor", ""))


class StorageUnavailable(Unavailable):
    """We can't reach the storage. We'll retry automatically."""


class NotStored(NotFound):
    """There is no {file} in storage for this version."""


class NotTheCheckedFile(Conflict):
    """The stored {file} differs from the file we checked. Upload the adapter again."""


class DiskUnavailable(Unavailable):
    """We can't write to the engine's disk. We'll retry automatically."""


class EngineUnavailable(Unavailable):
    """The engine isn't responding. We'll retry automatically."""


class EnginePoisoned(EngineUnavailable):
    """The engine's base model returns NaN. Restart the engine."""


class EngineRefused(DomainError):
    """The engine refused the adapter: {reason}"""

    @property
    def reason(self) -> Message:
        """Why, as an engine's words or ours."""
        reason = self.facts["reason"]
        return reason if isinstance(reason, Message) else Message.of(str(reason))


class EngineGone(Conflict):
    """Engine {name} is permanently out of service. Register the new machine under a different name."""


class NoBaseModel(Unavailable):
    """No base model is registered, so adapters can't be checked. Run `manage.py registerengine`."""


class StyleNotFound(NotFound):
    """No such style."""


class VersionNotFound(NotFound):
    """This style has no version {number}."""


class NoCard(NotFound):
    """Version {number} has not been measured yet. We measure a version once an engine has loaded it."""


class NoEvaluation(NotFound):
    """Version {number} has not been checked against texts by its author yet."""


class NoCanary(NotFound):
    """This style has no canary."""


class NothingToDownload(Conflict):
    """Version {number} has no files to download: they were rejected or deleted."""


class NotShared(NotFound):
    """This style is not shared with the workspace “{slug}”."""


class ErasureNotFound(NotFound):
    """No such erasure."""


class NotUploaded(Invalid):
    """The upload of {files} is incomplete. Choose the files again."""

    for_programs = (
        "The upload of {files} is incomplete. Send the file to the storage, then complete the upload again."
    )


class UploadRefused(FieldsRefused):
    """The upload can't start. See the messages next to the fields."""

    for_programs = "The upload can't start: some fields are invalid. See `errors`."


class StyleRefused(FieldsRefused):
    """The style can't be saved. See the messages next to the fields."""

    for_programs = "The style can't be saved: some fields are invalid. See `errors`."


class SlugTaken(Conflict):
    """You already have a style “{slug}”. Edit it, or choose another short name."""

    for_programs = "This workspace already has a style `{slug}`. Update it, or send a different `slug`."


class PlanFull(Conflict):
    """{fault}"""


class NothingToConvert(Conflict):
    """This version can no longer be converted. Upload the corrected files as a new version."""


class VersionMoved(Conflict):
    """This version has changed in the meantime. Reload it before you continue."""

    for_programs = "This version has changed in the meantime. Get it again before you continue."


class UploadEnded(Conflict):
    """{reason} The uploaded data was deleted. Start a new upload with the same files."""


class WithoutTerms(Invalid):
    """First add an author and a licence in the style's settings."""

    for_programs = "Set the style's `author` and `licence` first."


class CopiedStyle(Invalid):
    """These weights belong to {name}, a public style of another workspace. Offer a style of your own."""


class VersionNotShareable(Conflict):
    """{reason}"""


class NoVerifier(Conflict):
    """There is nothing to compare with yet. First check a version against texts of its author."""


class DraftTooShort(Invalid):
    """The text has {words} words; a comparison needs at least {least}."""


class ParagraphsTooShort(Invalid):
    """No paragraph has {least} words. Shorter ones say too little about how someone writes."""


class DraftTooLong(Invalid):
    """The text has more than {most:,} characters. Check it in parts."""


class TermsOutOfBounds(Invalid):
    """The price of {name} must be between {least} (the standard price) and {most} per million tokens."""

    code = "price_out_of_bounds"


class SharePercent(Invalid):
    """The revenue share must be between 0 and {most}%."""

    code = "share_out_of_bounds"


class TooEarly(Invalid):
    """The earliest start date is {first}: workspaces that selected the style get a week's notice."""

    code = "first_day_too_early"


class TooLate(Invalid):
    """The start date can be at most {days} days from now."""

    code = "first_day_too_late"


class WithoutCatalogue(Conflict):
    """Only styles in the public catalogue can have a price. This style is not in it, or is leaving it."""

    code = "not_public"


class PriceAgreed(Conflict):
    """An approved price has not taken effect yet. You can request another one after that."""


class NoPriceChange(Conflict):
    """There is no open price request, or it has already been answered."""


class NotOffered(Conflict):
    """This style has no pending offer or change, or it has already been answered."""


class UnchangedDraining(Conflict):
    """Nothing to change: the engine is already in this state, or permanently out of service."""


class NothingNew(Conflict):
    """The engine reports the limits that are already stored."""


class SuspendedAlready(Conflict):
    """This style is already suspended."""


class NotSuspended(Conflict):
    """This style is not suspended."""


class ChangedMeanwhile(Conflict):
    """The owner changed the style after you opened it. Review it again before you approve it."""


class SharingMoved(Conflict):
    """This has already ended or been answered. The page shows the current state."""

    for_programs = "This has already ended or been answered. Get the style again for its current state."


class NoSuchWorkspace(NotFound):
    """No such workspace: “{slug}”. Use its short name, the part before the slash in its model names."""


class ShortNameNeeded(Conflict):
    """{name} has the short name “{slug}”. If this is the right workspace, select “Share” again."""

    for_programs = "{name} has the slug `{slug}`. If this is the right workspace, send its slug."


class OwnWorkspace(Invalid):
    """This is your own workspace. It already has the style."""


class TooManyFavourites(Conflict):
    """You already have {most} favourites, which is the maximum. Remove one first."""


class AlreadyShared(Conflict):
    """{name} already has this style."""


class NotServing(Conflict):
    """Version {number} is not serving. Choose one that is, or upload it again as a new version."""


class NeverServed(Conflict):
    """Version {number} was rejected and was never served. Delete it instead."""


class NothingToRollBackTo(Conflict):
    """There is no previous live version to roll back to. Promote the version you want instead."""


class NothingToCompare(Conflict):
    """A canary needs another version that is live. Version {number} can't be used as a canary."""


class NoPair(Conflict):
    """Comparing needs two versions. Pass them as `a` and `b`, or have two serving versions."""


class SameSides(Invalid):
    """These two are the same. Choose two different styles or versions."""


class TooManyRounds(Conflict):
    """This workspace has reached its limit of {limit} rounds per day. Continue voting tomorrow."""


class RoundNotFound(NotFound):
    """This round doesn't exist, or someone else started it. Start a new one."""


class AlreadyVoted(Conflict):
    """You already voted in this round. Start a new one."""


class BadVote(Invalid):
    """A vote must be `left`, `right` or `tie`."""


class AnsweredMeanwhile(Conflict):
    """The live version has changed in the meantime, so nothing was rolled back. Check the style before you
    try again."""

    for_programs = (
        "The live version has changed in the meantime, so nothing was rolled back. Get the style again first."
    )


class BadShare(Invalid):
    """A canary's share must be a whole number from 1 to 99 percent."""


class StillUsed(Conflict):
    """Other workspaces use this style ({count}). Give them notice first, or confirm that they lose it
    immediately."""

    for_programs = (
        "Other workspaces use this style ({count}). Give them notice first, or send `at_once: true`."
    )


class NothingToAttest(Conflict):
    """Nothing to confirm: all engines of this erasure can be checked automatically, or the version is still
    draining."""

    code = "nothing_to_vouch_for"


class TooManyPrompts(Invalid):
    """Use at most {limit} prompts, one per line; you have {count}."""

    for_programs = "`test_prompts` takes at most {limit} prompts; you sent {count}."


class PromptTooLong(Invalid):
    """A prompt can have at most {limit} characters; the one starting with “{begins}” has {count}."""


class UnreadableBase(Invalid):
    """{directory} does not contain a base model to check adapters against: {reason}."""
