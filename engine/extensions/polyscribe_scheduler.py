"""A scheduler for vLLM (`--scheduler-cls`) in which pools take turns: no long answer holds a newcomer up.

vLLM itself interrupts a sequence only where the KV cache is full. Then its blocks are freed, the prefix cache
keeps the whole ones, and the sequence goes on later where it was. This does the same where all seats, or all
slots for adapters, are taken: the rules are in polyscribe_turns.py. Prompts are read in turns, too: that of
the pool which was given the fewest tokens first, and of pools that were given about as many the shortest.

The gateway names each request's pool and weight in `vllm_xargs`; requests without one are a pool together.
Workers name a weight below 1 for what nobody waits for (samples, briefs): it runs in seats that are free.
"""

import time
from collections import defaultdict, deque
from typing import Any

from polyscribe_turns import PAUSE_TURNS, Seats, Sequence, turn_s
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.request_queue import PriorityRequestQueue
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

UNKNOWN_SCHEDULER = (
    "This vLLM's scheduler is not the one that engine/extensions/polyscribe_scheduler.py builds on: find out "
    "how it interrupts a running request, or start it without --scheduler-cls."
)
LEAST_WEIGHT = 0.001  # of work that nobody waits for
MANY_POOLS = 1000  # whose tokens are remembered
# Pools that differ by less were given as much: a long prompt is read to its end, not all of them at once.
ABOUT_AS_MANY_TOKENS = 2048


class FairScheduler(Scheduler):
    """vLLM's scheduler; before each step pools that are owed a seat get one."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        """Raises RuntimeError, and so ends the start, where vLLM has changed what this relies on."""
        super().__init__(*arguments, **keywords)
        if not is_known(self):
            raise RuntimeError(UNKNOWN_SCHEDULER)
        self._own_threshold = self.scheduler_config.long_prefill_token_threshold
        self._seated: dict[str, tuple[float, int]] = {}  # since when, and what was written before
        self._arrived_s: dict[str, float] = {}
        self._steps_s: deque[float] = deque([0.0], maxlen=4)  # the last ones; an idle engine's are longer
        self._began_s = 0.0
        self._interrupted_s: dict[str, float] = {}  # when a pool lost a seat last
        self._served: defaultdict[str, float] = defaultdict(float)  # tokens of each pool, for its weight

    def add_request(self, request: Request) -> None:
        """Queue a request. Its pool, if it was away, begins beside the one that was given fewest tokens."""
        active = {pool_of(other) for other in self.requests.values()}
        pool = pool_of(request)
        if pool not in active:
            self._served[pool] = min((self._served[one] for one in active), default=0.0)
        if len(self._served) > MANY_POOLS:
            kept = active | {pool}
            self._served = defaultdict(float, {one: self._served[one] for one in kept})
        super().add_request(request)

    def schedule(self, *arguments: Any, **keywords: Any) -> SchedulerOutput:
        now_s = time.monotonic()
        self.scheduler_config.long_prefill_token_threshold = self._own_threshold
        self._steps_s.append(now_s - self._began_s if self._began_s else 0.0)
        self._began_s = now_s
        if self.waiting:
            self._give_seats(now_s)
        self.running.sort(key=self._order_of_reading)
        output = super().schedule(*arguments, **keywords)
        self._note_step(output, now_s)
        return output

    def _give_seats(self, now_s: float) -> None:
        waiting = list(self.waiting)
        ready = {request.request_id: request for request in waiting if self._is_ready(request)}
        running = {request.request_id: request for request in self.running}
        slots = self.lora_config.max_loras if self.lora_config else 0
        seats = Seats(
            map(self._sequence, running.values()),
            seats=self.max_num_running_reqs,
            slots=slots,
            turn=turn_s(min(self._steps_s)),
        )
        ordered = seats.order([self._waiting_sequence(request, now_s) for request in ready.values()])
        seated, interrupted = seats.give(ordered, now_s)
        for sequence in interrupted:
            request = running[sequence.id]
            self.running.remove(request)
            self._preempt_request(request, now_s)
            self._interrupted_s[sequence.pool] = now_s
        first = [ready[sequence.id] for sequence in seated]
        behind = [ready[sequence.id] for sequence in ordered if sequence not in seated]
        self._requeue([*first, *behind])
        self._share_step(first)

    def _is_ready(self, request: Request) -> bool:
        """Return whether a request could start: its grammar is compiled, and no token of it is on its way."""
        has_stale_output = bool(request.num_stale_output_tokens and not request.drop_stale_output)
        return not has_stale_output and self._handle_blocked_waiting_request(request)

    def _requeue(self, ordered: list[Request]) -> None:
        """Have vLLM take requests in this order, and all others behind them."""
        queued = list(self.waiting)
        self.waiting.remove_requests(set(queued))
        places = {request.request_id: place for place, request in enumerate(ordered)}
        for request in queued:
            request.priority = places.get(request.request_id, len(queued))
            self.waiting.add_request(request)

    def _share_step(self, seated: list[Request]) -> None:
        """Leave those that begin in this step their part of its tokens, beside prompts that are read."""
        reading = sum(map(is_reading, self.running))
        if seated and reading + len(seated) > 1:
            writing = len(self.running) - reading
            tokens = (self.max_num_scheduled_tokens - writing) // (reading + len(seated))
            self.scheduler_config.long_prefill_token_threshold = max(1, tokens)

    def _order_of_reading(self, request: Request) -> tuple[int, int]:
        """Answers first, a token each; then prompts."""
        if not is_reading(request):
            return -1, 0
        served = int(self._served[pool_of(request)] / ABOUT_AS_MANY_TOKENS)
        return served, request.num_tokens - request.num_computed_tokens

    def _note_step(self, output: SchedulerOutput, now_s: float) -> None:
        for request_id, tokens in output.num_scheduled_tokens.items():
            request = self.requests[request_id]
            self._served[pool_of(request)] += tokens / weight_of(request)
        before = self._seated
        self._seated = {
            request.request_id: before.get(request.request_id, (now_s, request.num_output_tokens))
            for request in self.running
        }
        if len(self._arrived_s) > 2 * len(self.requests) + 100:
            kept = self._arrived_s.keys() & self.requests.keys()
            self._arrived_s = {request_id: self._arrived_s[request_id] for request_id in kept}
            self._interrupted_s = {
                pool: at_s for pool, at_s in self._interrupted_s.items() if at_s + self._pause_s() > now_s
            }

    def _sequence(self, request: Request) -> Sequence:
        sequence = to_sequence(request)
        sequence.since_s, written_before = self._seated.get(request.request_id, (0.0, 0))
        sequence.written = request.num_output_tokens - written_before
        sequence.loss = request.num_computed_tokens % self.block_size  # the cache keeps whole blocks
        return sequence

    def _waiting_sequence(self, request: Request, now_s: float) -> Sequence:
        sequence = to_sequence(request)
        arrived_s = self._arrived_s.setdefault(request.request_id, now_s)
        interrupted_s = self._interrupted_s.get(sequence.pool)
        sequence.since_s = arrived_s
        if interrupted_s is not None:
            pause_s = self._pause_s()
            sequence.is_returning = now_s < interrupted_s + 2 * pause_s
            sequence.since_s = max(arrived_s, interrupted_s + pause_s)
        return sequence

    def _pause_s(self) -> float:
        return PAUSE_TURNS * turn_s(min(self._steps_s))


def to_sequence(request: Request) -> Sequence:
    """Return what the rules have to know of a request, but for its seat or its wait."""
    adapter = request.lora_request.lora_int_id if request.lora_request else 0
    return Sequence(request.request_id, pool_of(request), 0.0, weight=weight_of(request), adapter=adapter)


def is_reading(request: Request) -> bool:
    """Return whether more than the next token of a request has to be computed."""
    return bool(request.num_tokens - request.num_computed_tokens > 1)


def pool_of(request: Request) -> str:
    """Return the pool that the gateway named, "" where it named none."""
    return str(extras_of(request).get("pool", ""))


def weight_of(request: Request) -> float:
    """Return a pool's weight, 1 where the gateway named none."""
    weight = extras_of(request).get("weight", 1)
    return max(LEAST_WEIGHT, float(weight)) if isinstance(weight, int | float) else 1.0


def extras_of(request: Request) -> dict[str, Any]:
    """Return what a request has in `vllm_xargs`."""
    parameters = request.sampling_params
    return (parameters.extra_args or {}) if parameters else {}


def is_known(scheduler: Scheduler) -> bool:
    """Return whether vLLM has what the scheduler above uses, and reads its queue by priority."""
    names = ("_preempt_request", "_handle_blocked_waiting_request", "max_num_running_reqs", "lora_config")
    has_all = all(hasattr(scheduler, name) for name in names)
    return has_all and isinstance(scheduler.waiting, PriorityRequestQueue)
