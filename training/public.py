"""What other apps may use of this one."""

from training.erasure import TextsErasure, list_texts_erasures, prune_trainings
from training.export import list_exported
from training.files import prune_files
from training.summary import (
    count_charged_tokens,
    count_trainings,
    find_silent,
    find_unserved,
    longest_silent_s,
    oldest_queued_s,
)
