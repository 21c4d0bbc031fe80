"""Requests that admission is asked for and settlement ends, without the proxy between them."""

import asyncio
from itertools import count

from inference.contract.route import RouteTables
from inference.contract.usage import Usage
from inference.quota.admission import Caller, Grant, InFlight, admit
from inference.quota.settlement import Settlement
from inference.wire.valkey_client import ValkeyClient

request_numbers = count()
PLENTY = {
    "requests_per_minute": 10**6,
    "tokens_per_minute": 10**9,
    "monthly_tokens": 10**9,
    "parallel_requests": 10**6,
}


async def begin(
    gateway, account, request_id="", *, model="poetry", prompt=10, output=20, sequences=1, **facts
) -> Grant:
    """Admit a request of the account's key, as its gateway does."""
    await gateway.routes.refresh()
    return await admit(
        gateway.admission,
        gateway.routes.tables,
        account.caller,
        request_id=request_id or f"r{next(request_numbers)}",
        model=model,
        prompt_tokens=prompt,
        output_tokens=output,
        sequences=sequences,
        **facts,
    )


async def end(gateway, grant: Grant, outcome="complete", **used: int) -> None:
    """Settle a request that used so many tokens."""
    await gateway.meter.settle(InFlight.begin(grant, Usage(**used)), outcome)


class DataPlane:
    """A gateway's scripts, for tests that have no event loop."""

    def __init__(self, runner: asyncio.Runner, client: ValkeyClient, admission: str) -> None:
        self.run = runner.run
        self.admission = client.script(admission)
        self.meter = Settlement(client)

    async def ask(
        self, caller: Caller, *, tables=None, model="poetry", prompt=10, output=20, sequences=1, **facts
    ) -> Grant:
        return await admit(
            self.admission,
            tables or RouteTables(),
            caller,
            request_id=f"r{next(request_numbers)}",
            model=model,
            prompt_tokens=prompt,
            output_tokens=output,
            sequences=sequences,
            **facts,
        )

    def admit(self, caller: Caller, **facts) -> Grant:
        return self.run(self.ask(caller, **facts))

    def settle(self, grant: Grant, usage: Usage, outcome="complete") -> None:
        self.run(self.meter.settle(InFlight.begin(grant, usage), outcome))

    def extend(self, grant: Grant, usage: Usage) -> bool:
        return self.run(self.meter.extend(InFlight.begin(grant, usage)))

    def restore(self, grant: Grant, usage: Usage) -> None:
        self.run(self.meter.restore(InFlight.begin(grant, usage)))
