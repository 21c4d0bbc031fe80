"""What can go wrong with styles and engines."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import Conflict, DomainError, Invalid, NotFound, Unavailable
from core.messages import Fact, Message


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an adapter: its code and facts. `validation.problems` has the words."""

    code: str
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)

    @property
    def sentence_message(self) -> Message:
        """What is wrong, for whoever reads it later."""
        return Message(f"adapters.finding_sentence.{self.code}", self.facts)

    @property
    def fix_message(self) -> Message:
        """The one thing to do about it, for whoever reads it later."""
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
    """The storage does not answer; this goes on by itself when it is back."""

    code = "storage_unavailable"


class NotStored(NotFound):
    """The storage has no {file} for this version."""

    code = "not_stored"


class NotTheCheckedFile(Conflict):
    """The stored {file} is not the one that was checked; upload the adapter again."""

    code = "not_the_checked_file"


class DiskUnavailable(Unavailable):
    """The engine's disk takes no files just now; this goes on by itself when it does again."""

    code = "disk_unavailable"


class EngineUnavailable(Unavailable):
    """The engine does not answer; this goes on by itself when it is back."""

    code = "engine_unavailable"


class EnginePoisoned(EngineUnavailable):
    """The engine's base model computes no numbers (NaN); restart the engine."""

    code = "engine_poisoned"


class EngineRefused(DomainError):
    """The engine refused the adapter: {reason}"""

    code = "engine_refused"

    @property
    def reason(self) -> Message:
        """Why, as an engine's words or ours."""
        reason = self.facts["reason"]
        return reason if isinstance(reason, Message) else Message.of(str(reason))


class EngineGone(Conflict):
    """Engine {name} is out of service for good; register the new machine under another name."""

    code = "engine_gone"


class NoBaseModel(Unavailable):
    """No base model is registered yet to check an adapter against; run `manage.py registerengine`."""

    code = "no_base_model"


class StyleNotFound(NotFound):
    """There is no style by that name."""

    code = "style_not_found"


class VersionNotFound(NotFound):
    """The style has no version {number}."""

    code = "version_not_found"


class NoCard(NotFound):
    """Nothing was measured of version {number} yet. A version is measured once an engine has loaded it."""

    code = "no_card"


class NoCanary(NotFound):
    """No canary runs on this style."""

    code = "no_canary"


class NothingToDownload(Conflict):
    """Version {number} has no files to download: they were not accepted, or they are deleted."""

    code = "nothing_to_download"


class NotShared(NotFound):
    """The style is not shared with a workspace named “{slug}”."""

    code = "not_shared"


class ErasureNotFound(NotFound):
    """There is no erasure by that id."""

    code = "erasure_not_found"


class NotUploaded(Invalid):
    """{files} has not arrived completely; choose the files again."""

    code = "not_uploaded"
    for_programs = "{files} has not arrived completely. Send it to the storage, then finish the upload again."


class FieldsRefused(Invalid):
    """Some fields are not valid; see the notes beside them."""

    for_programs = "Some fields are not valid; `errors` names each."

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors


class UploadRefused(FieldsRefused):
    """The upload can't begin; see the notes beside the fields."""

    code = "upload_refused"
    for_programs = "The upload can't begin; `errors` names each field that is not valid."


class StyleRefused(FieldsRefused):
    """The style can't be saved like this; see the notes beside the fields."""

    code = "style_refused"
    for_programs = "The style can't be saved like this; `errors` names each field that is not valid."


class SlugTaken(Conflict):
    """You have a style “{slug}” already. Edit that one, or choose another short name."""

    code = "slug_taken"
    for_programs = "This workspace has a style `{slug}` already. Edit that one, or send another `slug`."


class PlanFull(Conflict):
    """{fault}"""

    code = "plan_full"


class NothingToConvert(Conflict):
    """Nothing of this version can be converted any more; upload the corrected files as a new version."""

    code = "nothing_to_convert"


class VersionMoved(Conflict):
    """This version has moved on meanwhile. Look at it again before you do anything with it."""

    code = "version_moved"


class UploadEnded(Conflict):
    """{reason} What was sent of it is deleted: begin a new upload with the same files."""

    code = "upload_ended"


class WithoutTerms(Invalid):
    """Say first, under “About”, who made the style and on what terms others may write in it."""

    code = "without_terms"
    for_programs = "Say first who made the style and on what terms: set its `author` and `licence`."


class CopiedStyle(Invalid):
    """These are the weights of {name}, a public style of another workspace. Offer a style of your own."""

    code = "copied_style"


class TermsOutOfBounds(Invalid):
    """The price of {name} is {least} to {most} a million tokens: {least} is the price of every style."""

    code = "price_out_of_bounds"


class SharePercent(Invalid):
    """An author's share is 0 to {most} %."""

    code = "share_out_of_bounds"


class TooEarly(Invalid):
    """The first day can be {first}: those who selected the style hear of it a week before."""

    code = "first_day_too_early"


class TooLate(Invalid):
    """The first day is at most {days} days ahead."""

    code = "first_day_too_late"


class WithoutCatalogue(Conflict):
    """Only a style that is in the public catalogue, and stays there, has a price for others."""

    code = "not_public"


class PriceAgreed(Conflict):
    """A price was agreed and has not begun yet. Another one can be asked for once it has."""

    code = "price_agreed"


class NoPriceChange(Conflict):
    """No other price is asked for, or it was answered meanwhile."""

    code = "no_price_change"


class NotOffered(Conflict):
    """This style is not offered to the catalogue and has no change that waits, or was answered meanwhile."""

    code = "not_offered"


class UnchangedDraining(Conflict):
    """It is so already, or its machine is gone for good."""

    code = "unchanged_draining"


class NothingNew(Conflict):
    """The engine tells no other limits than its row has."""

    code = "nothing_new"


class SuspendedAlready(Conflict):
    """This style is suspended already."""

    code = "suspended_already"


class NotSuspended(Conflict):
    """This style is not suspended."""

    code = "not_suspended"


class ChangedMeanwhile(Conflict):
    """Its owner changed it after you looked at it. Look at it again before you approve it."""

    code = "changed_meanwhile"


class SharingMoved(Conflict):
    """This has ended or was answered meanwhile; the page shows how it stands now."""

    code = "sharing_moved"
    for_programs = "This has ended or was answered meanwhile. Get the style again to see how it stands."


class NoSuchWorkspace(NotFound):
    """There is no workspace named “{slug}”. Its name is what goes before the slash in its model names."""

    code = "no_such_workspace"


class OwnWorkspace(Invalid):
    """That is your own workspace; it has the style already."""

    code = "own_workspace"


class TooManyFavourites(Conflict):
    """You have {most} favourites, and no more are kept. Take one off first."""

    code = "too_many_favourites"


class AlreadyShared(Conflict):
    """{name} has this style already."""

    code = "already_shared"


class NotServing(Conflict):
    """Version {number} does not serve; choose one that does, or upload it again as a new version."""

    code = "not_serving"


class NeverServed(Conflict):
    """Version {number} was rejected and never served. Delete it instead."""

    code = "never_served"


class NothingToRollBackTo(Conflict):
    """No other version answered before this one; promote the version that you want instead."""

    code = "nothing_to_roll_back_to"


class NothingToCompare(Conflict):
    """A canary is tried beside another version that is live; version {number} is not such a one."""

    code = "nothing_to_compare"


class NoPair(Conflict):
    """Two versions are compared. Name them as `a` and `b`, or let two versions of the style serve."""

    code = "no_pair"


class SameSides(Invalid):
    """Choose two different styles or versions: these two are the same one."""

    code = "same_sides"


class TooManyRounds(Conflict):
    """This workspace began {limit} rounds within a day. Vote on tomorrow."""

    code = "too_many_rounds"


class RoundNotFound(NotFound):
    """This round of a vote is not there, or somebody else began it. Begin another one."""

    code = "round_not_found"


class AlreadyVoted(Conflict):
    """This round has its vote. Begin another one."""

    code = "already_voted"


class BadVote(Invalid):
    """A vote is `left`, `right` or `tie`."""

    code = "bad_vote"


class BadVoteCount(Invalid):
    """Ask for a whole number of votes from 0 to {limit}; 0 asks for none."""

    code = "bad_vote_count"


class NotEnoughVotes(Conflict):
    """Version {number} has {count} of the {needed} blind votes against version {live} that this style asks
    for. Vote in the playground, or promote it without them."""

    code = "not_enough_votes"
    for_programs = (
        "Version {number} has {count} of the {needed} blind votes against version {live} that this style "
        "asks for. Let people vote in the studio, or send `without_votes: true`."
    )


class AnsweredMeanwhile(Conflict):
    """Another version answers by now, so nothing was rolled back. Look again before you roll back."""

    code = "answered_meanwhile"
    for_programs = "Another version answers by now, so nothing was rolled back. Get the style again first."


class BadShare(Invalid):
    """A canary's share is a whole number from 1 to 99 percent."""

    code = "bad_share"


class StillUsed(Conflict):
    """Others have this style ({count}). Give them notice first, or say that they lose it at once."""

    code = "still_used"
    for_programs = "Others have this style ({count}). Give them notice first, or send `at_once: true`."


class NothingToAttest(Conflict):
    """Every engine of this erasure can be looked at from here, or it is not drained yet."""

    code = "nothing_to_vouch_for"


class TooManyPrompts(Invalid):
    """At most {limit} prompts, one a line; these are {count}."""

    code = "too_many_prompts"
    for_programs = "`test_prompts` takes at most {limit} prompts; these are {count}."


class PromptTooLong(Invalid):
    """At most {limit} characters a prompt; the one that begins “{begins}” has {count}."""

    code = "prompt_too_long"
