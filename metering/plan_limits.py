"""The one table of what a plan limits: its name, what people and programs read of it, and what enforces it.

A limit is a column of `PlanVersion`. The quota snapshot, the comparison of plans, `/api/v1/billing` and the
texts of its fields are made of this table.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class By(StrEnum):
    """What enforces a limit."""

    ADMISSION = "admission"  # inference/quota/lua/admission.lua, from the quota snapshot
    INVOICES = "invoices"  # nothing is refused: it is what the fee pays for
    UPLOADS = "uploads"  # adapters/uploads
    TRAINING = "training"  # training/starting.py
    DRAFTS = "drafts"  # drafts/actions.py
    API = "api"  # core/rates.py, for each key


@dataclass(frozen=True)
class PlanLimit:
    """One limit of a plan."""

    name: str  # the column of PlanVersion
    by: By
    label: str | Promise = ""  # in the comparison of plans; "" leaves it out
    about: str = ""  # in the API; "" leaves it out
    is_bytes: bool = False
    has_none: bool = False  # empty where there is no limit


PLAN_LIMITS = (
    PlanLimit("included_tokens", By.INVOICES, _("included tokens per month")),
    PlanLimit("monthly_tokens", By.ADMISSION, _("tokens per month (maximum)"), "Maximum tokens per month."),
    PlanLimit(
        "monthly_nanousd",
        By.ADMISSION,
        about="Budget per month, in billionths of a dollar. `null` for none.",
        has_none=True,
    ),
    PlanLimit("requests_per_minute", By.ADMISSION, _("requests per minute"), "Requests per minute."),
    PlanLimit("tokens_per_minute", By.ADMISSION, _("tokens per minute"), "Tokens per minute."),
    PlanLimit("parallel_requests", By.ADMISSION, _("concurrent requests"), "Concurrent requests."),
    PlanLimit("max_output_tokens", By.ADMISSION, _("tokens per answer"), "Maximum tokens per response."),
    PlanLimit(
        "sequences_per_request",
        By.ADMISSION,
        about="Maximum sequences per request: prompts times `n`.",
    ),
    PlanLimit("weight", By.ADMISSION),
    PlanLimit("private_styles", By.UPLOADS, _("private styles"), "Styles of its own."),
    PlanLimit("stored_versions", By.UPLOADS, _("stored versions"), "Versions that may be stored."),
    PlanLimit(
        "stored_bytes",
        By.UPLOADS,
        _("storage"),
        "Storage for versions and files, in bytes.",
        is_bytes=True,
    ),
    PlanLimit("open_uploads", By.UPLOADS, _("open uploads"), "Uploads that may be open at once."),
    PlanLimit(
        "monthly_trainings",
        By.TRAINING,
        _("trainings per month"),
        "Trainings that may be started per month.",
    ),
    PlanLimit("parallel_trainings", By.TRAINING, _("trainings at once"), "Trainings that may run at once."),
    PlanLimit("training_words", By.TRAINING, _("words per training"), "Words per training."),
    PlanLimit("drafts", By.DRAFTS, _("drafts"), "Drafts in the workspace."),
    PlanLimit(
        "api_requests_per_minute",
        By.API,
        _("API requests per minute"),
        "Requests per minute to `/api/v1`.",
    ),
)
