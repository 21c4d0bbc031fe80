"""A plugin of vLLM's: grammars are followed in processes of their own, within a measured budget.

vLLM loads it in each of its processes, Ray's replicas among them (`polyscribe_plugin.py`). It puts our
backend in the place of vLLM's own for xgrammar, ends a request whose grammar takes too much, and has the
server parse no grammar itself. vLLM has no options for these.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakValueDictionary

import torch
import xgrammar
from grammar_processes import INVALID_GRAMMAR, Budget, GrammarError, Grammars, Sequence, wait_for_steps
from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.logger import init_logger
from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import StructuredOutputManager, backend_xgrammar
from vllm.v1.structured_output.backend_types import StructuredOutputGrammar, StructuredOutputOptions
from vllm.v1.structured_output.backend_xgrammar import (
    XgrammarBackend,
    has_xgrammar_unsupported_json_features,
)
from vllm.v1.structured_output.utils import choice_as_grammar, grammar_is_likely_lark

logger = init_logger(__name__)
MAX_COMPILERS = 16  # at once; each waits in a thread


class FollowedGrammar(StructuredOutputGrammar):
    """vLLM's view of a sequence that is followed elsewhere."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Return True: whether the tokens are valid is known with the next mask."""
        self.sequence.accept(tokens)
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        """Return those of the first tokens that may follow."""
        return tokens[: self.sequence.count_valid(tokens)]

    def rollback(self, num_tokens: int) -> None:
        """Go back by some tokens."""
        self.sequence.roll_back(num_tokens)

    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None:
        """Write the mask of the tokens that may follow."""
        self.sequence.finish_step()
        if self.sequence.failure or self.sequence.mask is None:
            bitmask[batch_index].fill_(-1)  # the token will be dropped
        else:
            bitmask[batch_index].numpy()[:] = self.sequence.mask

    def is_terminated(self) -> bool:
        """Return whether the grammar allows nothing more."""
        self.sequence.finish_step()
        return self.sequence.has_ended

    def reset(self) -> None:
        """vLLM never calls it."""
        raise NotImplementedError


class ProcessBackend(XgrammarBackend):
    """vLLM's backend for xgrammar, with the compiling and the following in other processes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.grammars = start_processes(self.compiler)
        # vLLM 0.33 follows structural tags and Lark's grammars with a tokenizer that has special tokens, too.
        full_compiler = getattr(self, "full_vocab_compiler", self.compiler)
        has_two = full_compiler is not self.compiler
        self.full_grammars = start_processes(full_compiler) if has_two else self.grammars
        # Weak: a budget ends with the last sequence of its request.
        self._budgets: WeakValueDictionary[str, Budget] = WeakValueDictionary()

    def open_sequence(self, request: Request) -> FollowedGrammar:
        """Return the grammar of a request, compiled. Raises GrammarError."""
        assert request.structured_output_request is not None
        option, text = request.structured_output_request.structured_output_key
        stop_token_ids = request.sampling_params.all_stop_token_ids if request.sampling_params else ()
        kind = option.name.lower()
        if option == StructuredOutputOptions.JSON_OBJECT:
            kind, text = "json", '{"type": "object"}'
        elif option == StructuredOutputOptions.CHOICE:
            kind, text = "grammar", choice_as_grammar(json.loads(text))
        elif option == StructuredOutputOptions.GRAMMAR and grammar_is_likely_lark(text):
            kind = "lark"
        grammars = self.full_grammars if kind in ("structural_tag", "lark") else self.grammars
        process = grammars.open(
            kind,
            text,
            whitespace="none" if self.disable_any_whitespace else "any",
            stop_token_ids=stop_token_ids,
        )
        # vLLM names the `n` sequences of a request 0_ID, 1_ID, …
        number, _, parent_id = request.request_id.partition("_")
        name = parent_id if number.isdecimal() and parent_id else request.request_id
        budget = self._budgets.setdefault(name, Budget(self.grammars.limits))
        return FollowedGrammar(Sequence(process, budget, self.grammars.limits))

    def destroy(self) -> None:
        """End all processes."""
        self.grammars.close()
        self.full_grammars.close()


def start_processes(compiler: xgrammar.GrammarCompiler) -> Grammars:
    """Return processes that compile as a compiler of vLLM's does."""
    # It doesn't tell its tokenizer, but a grammar does. Nothing else is compiled in this process.
    tokenizer_info = compiler.compile_grammar('root ::= "a"').tokenizer_info
    return Grammars(tokenizer_info.serialize_json())


def check_grammar(params: SamplingParams) -> None:
    """Check a request's grammar as far as that is cheap. Raises VLLMValidationError.

    vLLM would have xgrammar parse it, in the process that serves everybody.
    """
    wanted = params.structured_outputs
    if wanted is None:
        return
    if wanted.choice:
        wanted.grammar = choice_as_grammar(wanted.choice)
        wanted.choice = None
        return
    try:
        if wanted.json:
            schema = json.loads(wanted.json) if isinstance(wanted.json, str) else wanted.json
            if has_xgrammar_unsupported_json_features(schema):
                raise VLLMValidationError("The JSON schema has keywords that are not supported.")
        if wanted.structural_tag:
            json.loads(wanted.structural_tag)
    except (json.JSONDecodeError, RecursionError) as error:
        raise VLLMValidationError("The grammar is not valid JSON.") from error


def create_grammar(manager: StructuredOutputManager, request: Request) -> FollowedGrammar:
    """Return a request's grammar, in one of the manager's threads. Raises GrammarError."""
    assert isinstance(manager.backend, ProcessBackend)
    try:
        return manager.backend.open_sequence(request)
    except GrammarError:
        raise
    except Exception as error:
        logger.exception("The grammar of request %s failed", request.request_id)
        raise GrammarError(INVALID_GRAMMAR) from error


def failure_of(request: Request) -> str:
    """Return the `stop_reason` of a request whose grammar has failed, else ""."""
    wanted = request.structured_output_request
    grammar = wanted.grammar if wanted else None
    if isinstance(grammar, GrammarError):
        return grammar.stop_reason
    return grammar.sequence.failure if isinstance(grammar, FollowedGrammar) else ""


def install() -> None:
    """Put our functions in the places of vLLM's."""
    backend_xgrammar.validate_xgrammar_grammar = check_grammar
    StructuredOutputManager._create_grammar = create_grammar  # type: ignore[method-assign]
    _replace(StructuredOutputManager, "__init__", _with_processes)
    _replace(StructuredOutputManager, "grammar_bitmask", _with_one_deadline)
    _replace(Scheduler, "_update_request_with_output", _with_failed_steps)
    _replace(Scheduler, "update_from_output", _with_failed_compilations)
    _replace(Scheduler, "_free_request", _with_ended_sequences)


def _replace(owner: type, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, name, wrap(getattr(owner, name)))


def _with_processes(original: Callable[..., Any]) -> Callable[..., Any]:
    def init(self: StructuredOutputManager, vllm_config: VllmConfig) -> None:
        original(self, vllm_config)
        if vllm_config.model_config.skip_tokenizer_init:
            return
        # Now, and not with the first grammar: everybody would wait for the process to start.
        self.backend = ProcessBackend(
            vllm_config, tokenizer=self.tokenizer, vocab_size=vllm_config.model_config.get_vocab_size()
        )
        # vLLM's own threads are one a core, and an expensive grammar would keep one. Ours only wait.
        self.executor.shutdown()
        self.executor = ThreadPoolExecutor(max_workers=MAX_COMPILERS)

    return init


def _with_one_deadline(original: Callable[..., Any]) -> Callable[..., Any]:
    def grammar_bitmask(
        self: StructuredOutputManager, requests: dict[str, Request], request_ids: list[str], *others: Any
    ) -> Any:
        wait_for_steps(
            grammar.sequence
            for request_id in request_ids
            if (wanted := requests[request_id].structured_output_request)
            and isinstance(grammar := wanted.grammar, FollowedGrammar)
        )
        return original(self, requests, request_ids, *others)

    return grammar_bitmask


def _with_failed_steps(original: Callable[..., Any]) -> Callable[..., Any]:
    def update(
        self: Scheduler, request: Request, new_token_ids: list[int], *others: Any, **keywords: Any
    ) -> tuple[list[int], bool]:
        failure = failure_of(request) if new_token_ids else ""
        if not failure:
            updated: tuple[list[int], bool] = original(self, request, new_token_ids, *others, **keywords)
            return updated
        # The token was taken without a mask, so it is dropped.
        request.status = RequestStatus.FINISHED_STOPPED
        request.stop_reason = failure
        request.resumable = False
        return [], True

    return update


def _with_failed_compilations(original: Callable[..., Any]) -> Callable[..., Any]:
    def update_from_output(self: Scheduler, *arguments: Any, **keywords: Any) -> dict[int, EngineCoreOutputs]:
        reasons = {
            request_id: failure_of(self.requests[request_id])
            for request_id in self.grammar_compile_error_reqs
            if request_id in self.requests
        }
        named = [request_id for request_id, reason in reasons.items() if reason]
        errors = self.grammar_compile_error_reqs
        for request_id in named:
            if isinstance(errors, dict):  # vLLM 0.33
                del errors[request_id]
            else:
                errors.discard(request_id)
        ended = self.finish_requests(named, RequestStatus.FINISHED_STOPPED) if named else []
        outputs: dict[int, EngineCoreOutputs] = original(self, *arguments, **keywords)
        for request in ended:
            output = EngineCoreOutput(
                request_id=request.request_id,
                new_token_ids=[],
                finish_reason=request.get_finished_reason(),
                stop_reason=reasons[request.request_id],
                events=request.take_events(),
            )
            outputs.setdefault(request.client_index, EngineCoreOutputs()).outputs.append(output)
        return outputs

    return update_from_output


def _with_ended_sequences(original: Callable[..., Any]) -> Callable[..., Any]:
    def free_request(self: Scheduler, request: Request, *others: Any, **keywords: Any) -> Any:
        wanted = request.structured_output_request
        grammar = wanted.grammar if wanted else None
        if isinstance(grammar, FollowedGrammar):
            grammar.sequence.close()
        return original(self, request, *others, **keywords)

    return free_request
