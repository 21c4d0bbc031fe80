"""Whatever engines and clients do, in any order: an admitted request is settled once."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.contract.usage import Usage
from inference.errors import BadRequest, DomainError, EngineBroke, EngineUnavailable, LimitsUnavailable
from inference.proxy import request as module
from inference.proxy.request import ProxyRequest, RequestState
from tests.profiles import examples

MAX_ATTEMPTS = 3
ends = st.sampled_from(["whole", "moved", "away", "breaks", "refused", "hangs"])
attempts = st.lists(st.tuples(ends, st.integers(0, 3)), min_size=1, max_size=MAX_ATTEMPTS + 1)


class Meter:
    """Fails as often as it is told to; notes what is settled."""

    def __init__(self, failures):
        self.failures = failures
        self.settled = []

    async def settle(self, request, outcome):
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise LimitsUnavailable
        self.settled.append((outcome, request.usage.completion))

    async def retry_settle(self, request, outcome):
        self.failures = 0
        await self.settle(request, outcome)


class Script:
    """What happens to one request: how each attempt ends, and after how many parts the client hangs up."""

    def __init__(self, steps, failures):
        self.steps = steps
        self.meter = Meter(failures)
        self.open = 0
        self.states = []
        self.hangs = asyncio.Event()
        self.attempt = None
        self.gateway = SimpleNamespace(
            in_flight={},
            unanswered={},
            meter=self.meter,
            tasks=SimpleNamespace(spawn=asyncio.ensure_future),
            settings=None,
            upstream=None,
            backends=self,
        )

    async def admit(self, *args):
        route = SimpleNamespace(style=None, version_id="")
        grant = SimpleNamespace(request_id="req_1", route=route, weight=1, output_tokens=1)
        return grant, None

    def failover(self, *args):
        return self

    def best(self, route):
        """Leave the choice to the failover, as where no engine can take the request at once."""
        return

    async def choose_engine(self):
        if not self.steps:
            raise EngineUnavailable
        self.attempt = Attempt(self, *self.steps.pop(0))
        return SimpleNamespace(engine="engine-1", adapter="", url=""), self.attempt

    def mark_failed(self, placement, error, *, is_last):
        if is_last or not isinstance(error, EngineUnavailable):
            raise error

    async def send(self, *args, **kwargs):
        return await self.attempt.send()

    def reader(self, parsed, route, placement, usage):
        def feed(data):
            usage.completion += 1
            return data

        return SimpleNamespace(feed=feed, end=lambda: b"last")

    async def diagnose(self, gateway, error, **facts):
        return error


class Attempt:
    """An engine, its queue and its answer: sends so many parts, and ends as its script says."""

    is_complete = False

    def __init__(self, script, end, parts):
        self.script = script
        self.end = end
        self.left = parts
        self.queue = self
        script.open += 1

    def tier(self, adapter):
        return "warm"

    async def acquire(self, ticket):
        self.script.states.append(self.script.request.state)
        await asyncio.sleep(0)

    def release(self, ticket):
        self.script.open -= 1

    def try_acquire(self, adapter):
        return self.end != "moved"

    def mark_answered(self, adapter):
        pass

    def mark_refused(self, adapter):
        pass

    async def send(self):
        if self.end == "away":
            raise EngineUnavailable
        return self

    async def part(self):
        await asyncio.sleep(0)
        if self.left:
            self.left -= 1
            return b"part"
        if self.end == "hangs":
            self.script.hangs.set()
            await asyncio.get_running_loop().create_future()
        if self.end == "breaks":
            raise EngineBroke
        if self.end == "refused":
            raise BadRequest
        return b""

    def close(self):
        pass


async def play(script, hang_up_after):
    """Read the answer, and hang up after so many parts; return the parts and the error."""
    parsed = SimpleNamespace(model="poetry", stream=True, choices=1, kind="chat", constrained="")
    caller = SimpleNamespace(names=SimpleNamespace(tenant="acme"))
    request = script.request = ProxyRequest(script.gateway, caller, parsed, "req_1")
    parts = []
    reading = asyncio.ensure_future(_read(request, parts, hang_up_after))
    hanging = asyncio.ensure_future(script.hangs.wait())
    await asyncio.wait({reading, hanging}, return_when=asyncio.FIRST_COMPLETED)
    hanging.cancel()
    reading.cancel()  # the client hangs up on an engine that is silent
    [outcome] = await asyncio.gather(reading, return_exceptions=True)
    await request.close()
    return parts, outcome


async def _read(request, parts, hang_up_after):
    while len(parts) < hang_up_after:
        part = await request.next_part()
        if not part:
            return
        parts.append(part)
        assert request.state is (RequestState.SETTLED if request.is_over else RequestState.STREAMING)


@settings(max_examples=examples(150))
@given(steps=attempts, hang_up_after=st.integers(0, 6), failures=st.integers(0, 1))
def test_an_admitted_request_is_settled_once_whatever_happens(steps, hang_up_after, failures):
    script = Script(list(steps), failures)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "admit_request", script.admit)
        patch.setattr(module, "Failover", script.failover)
        patch.setattr(module, "EventStream", script.reader)
        patch.setattr(module.vllm, "send_request", script.send)
        patch.setattr(module.diagnosis, "diagnose", script.diagnose)
        parts, outcome = asyncio.run(play(script, hang_up_after))
    if hang_up_after == 0:  # it never began
        assert script.meter.settled == []
        return
    [(said, completion)] = script.meter.settled
    assert script.request.state is RequestState.SETTLED
    assert script.gateway.in_flight == {}
    assert script.open == 0
    assert set(script.states) <= {RequestState.QUEUED}
    if said == "complete":
        assert parts[-1] == b"last"
    if isinstance(outcome, DomainError):  # an error of its own only before the first part
        assert parts == []
        assert completion == 0
    assert isinstance(script.request._usage, Usage)
