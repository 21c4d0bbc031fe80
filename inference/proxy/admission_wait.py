"""Admission of one request, and the wait for a style that is still being loaded.

A request that waits for its style is not admitted yet, so waiting uses up no limit. Admission takes the hold
once the style serves.
"""

import asyncio
import time
from contextlib import suppress

from core import months
from inference.contract import watermark
from inference.contract.prompt_length import min_tokens
from inference.contract.requests import ParsedRequest
from inference.errors import (
    ContextTooLong,
    Limited,
    LimitsUnavailable,
    StyleLoading,
    SuspectRequest,
)
from inference.facts import AdapterTier
from inference.proxy.runtime import Gateway
from inference.proxy.suspects import fingerprint_of
from inference.quota.admission import (
    AdapterNotLoaded,
    CacheMiss,
    Caller,
    Grant,
    PeriodRollover,
    PromptEstimateTooHigh,
    admit,
    period_at,
)


async def admit_request(
    gateway: Gateway, caller: Caller, parsed: ParsedRequest, request_id: str
) -> tuple[Grant, AdapterTier | None]:
    """Return a grant, and "loading" where the request waited for its style.

    Raises DomainError; then nothing is held.
    """
    fingerprint = ""  # until it is known that the workspace has suspects
    period = months.current()
    was_published = False
    load_deadline_s: float | None = None
    await gateway.routes.ensure_loaded()
    prompt = _PromptBounds(gateway, parsed)
    while True:
        try:
            grant = await admit(
                gateway.admission,
                gateway.routes.tables,
                caller,
                request_id=request_id,
                model=parsed.model,
                user=parsed.user,
                prompt_tokens=prompt.most_tokens,
                min_prompt_tokens=prompt.least_tokens,
                is_exact=prompt.is_exact,
                output_tokens=parsed.output_tokens,
                sequences=parsed.choices,
                period=period,
                fingerprint=fingerprint,
                wants_unmarked=watermark.needs_permission(parsed.watermarking),
            )
        except CacheMiss as error:
            # What was published a moment ago and is missing still stays missing: nobody tries a third time.
            if was_published:
                await gateway.workspaces.require_published(caller)
                raise LimitsUnavailable from error
            await gateway.workspaces.ensure_published(caller.tenant_id, period)
            was_published = True
        except PeriodRollover as error:
            period = period_at(error.now_ms)
            was_published = False  # not for this month
        except SuspectRequest:
            if fingerprint:
                raise
            fingerprint = fingerprint_of(parsed)
        except PromptEstimateTooHigh:
            await prompt.tighten(caller.names.tenant)
        except AdapterNotLoaded as missing:
            if load_deadline_s is None:
                load_deadline_s = time.monotonic() + gateway.settings.adapter_wait_s
            await _await_adapter(gateway, caller, parsed, missing, deadline_s=load_deadline_s)
            was_published = False  # it was minutes ago
        except ContextTooLong as error:
            # Only the parsed request knows in which field its form of API has the prompt.
            error.param = parsed.prompt_field
            raise
        except Limited as error:
            # Counting took processor time, so this refusal counts as several (`api/app.py`).
            error.was_counted = prompt.is_exact
            raise
        else:
            return grant, None if load_deadline_s is None else "loading"


class _PromptBounds:
    """What is known of a prompt's tokens: it lies between two bounds, or is counted."""

    def __init__(self, gateway: Gateway, parsed: ParsedRequest) -> None:
        self.most_tokens = parsed.prompt_bound()
        self.least_tokens = 0
        self.is_exact = False
        self._gateway = gateway
        self._parsed = parsed
        self._is_measured = False
        # While the upper bound fits, the lower one decides nothing, and it reads the whole prompt.
        if self.most_tokens >= gateway.routes.tables.base_context:
            self._measure()

    async def tighten(self, tenant: str) -> None:
        """Learn more, by the cheapest means that is left. Raises LimitsUnavailable or EngineBusy."""
        if not self._is_measured:
            self._measure()
            # Often the lower bound decides, and the tokenizer, which takes milliseconds, is not needed.
            if self.least_tokens:
                return
        # The byte bound is crude. Where the difference matters, the base model's own tokenizer decides.
        counted_tokens = await self._gateway.tokens.count(tenant, self._parsed)
        self.most_tokens = min(self.most_tokens, counted_tokens)
        self.least_tokens = min(self.most_tokens, self.least_tokens)
        self.is_exact = True

    def _measure(self) -> None:
        self._is_measured = True
        least_tokens = min_tokens(self._parsed, self._gateway.longest_token)
        self.least_tokens = min(self.most_tokens, least_tokens)


async def _await_adapter(
    gateway: Gateway,
    caller: Caller,
    parsed: ParsedRequest,
    missing: AdapterNotLoaded,
    *,
    deadline_s: float,
) -> None:
    """Have a style loaded; return once an engine has it or its name leads nowhere.

    Raises StyleLoading at the deadline, or why the caller may ask no more.
    """
    version_id = missing.version_id
    is_loading = True
    with gateway.loading.count(caller.names.tenant, parsed.body_bytes):
        while is_loading:
            if time.monotonic() >= deadline_s:
                raise StyleLoading(model=parsed.model, retry_s=5, tier="loading")
            gateway.loading.request_placement(version_id)
            await asyncio.sleep(gateway.settings.route_poll_s)
            # Valkey may be restarting. The deadline bounds this wait, too.
            with suppress(LimitsUnavailable):
                # The name is followed anew each time: meanwhile it may lead to another version, or the key
                # may end.
                targets = await gateway.access.find_targets(caller, (missing.field,))
                if not targets:
                    return
                version_id = targets[0].version_id
                is_loading = not gateway.routes.tables.route(version_id).placements
