"""The engine of `trials fuzz`: vLLM's own interface, and the witnesses who notice when it harms others."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

import aiohttp
import numpy as np

from labs.broken_adapters.parts import Parts, encode, lay_out, serialize, write_files
from trials.harness import open_engine

PROMPT = "The morning in the city began with"
WITNESS_TOKENS = 8
MUTANT_TOKENS = 3
REASON_CHARACTERS = 600
PATIENCE_S = 120.0


class Refused(Exception):
    """The engine does not serve what it was given; the text is its reason."""


class Gone(Exception):
    """The engine does not answer any more."""


class Engine:
    """A client of one vLLM, for as long as it is open."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._http = open_engine(variables, timeout_s=PATIENCE_S)

    async def __aenter__(self) -> "Engine":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def load(self, name: str, folder: Path) -> None:
        """Load an adapter. Raises Refused, Gone."""
        await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})

    async def unload(self, name: str) -> None:
        """Forget an adapter. Raises Refused, Gone."""
        await self._post("/v1/unload_lora_adapter", {"lora_name": name})

    async def complete(self, name: str, *, tokens: int) -> str:
        """Return an adapter's greedy answer; a salt of its own keeps it from memory that others filled.

        Probabilities are asked for, because vLLM can't write any that is NaN. Raises Refused, Gone.
        """
        body = {
            "model": name,
            "prompt": PROMPT,
            "max_tokens": tokens,
            "temperature": 0,
            "logprobs": 1,
            "cache_salt": token_hex(8),
        }
        answer = json.loads(await self._post("/v1/completions", body))
        return str(answer["choices"][0]["text"])

    async def _post(self, path: str, body: Mapping[str, object]) -> str:
        try:
            async with self._http.post(path, json=body) as answer:
                text = await answer.text()
                if answer.status != 200:
                    raise Refused(f"{path} answers {answer.status}: {text[:REASON_CHARACTERS]}")
                return text
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Gone(f"{path}: {error!r:.200}") from error

    async def is_alive(self) -> bool:
        """Return whether the engine's core is well."""
        try:
            async with self._http.get("/health") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


@dataclass(frozen=True)
class Witnesses:
    """Adapters that never change, by name, and what each says when it is alone."""

    folders: Mapping[str, Path]
    texts: Mapping[str, str]

    async def come(self, engine: Engine) -> "Witnesses":
        """Return them loaded and asked, one at a time. Raises Refused, Gone."""
        for name, folder in self.folders.items():
            await engine.load(name, folder)
        return replace(self, texts={name: await self._said(engine, name) for name in self.folders})

    async def go(self, engine: Engine) -> None:
        """Unload them. Raises Refused, Gone."""
        for name in self.folders:
            await engine.unload(name)

    async def said(self, engine: Engine) -> dict[str, str]:
        """Return what they say now, all at once."""
        texts = await asyncio.gather(*(self._said(engine, name) for name in self.folders))
        return dict(zip(self.folders, texts, strict=True))

    async def changed(self, engine: Engine, said: Mapping[str, str], *, is_exact: bool) -> list[str]:
        """Return who says something else than at the start.

        16 bits round otherwise in another batch, so there a witness who differs is asked again alone.
        """
        found = []
        for name, text in self.texts.items():
            if is_exact or not said[name]:
                is_same = said[name] == text
            else:
                is_same = text in (said[name], await self._said(engine, name))
            if not is_same:
                found.append(f"{name}: {text!r} became {said[name]!r}")
        return found

    async def _said(self, engine: Engine, name: str) -> str:
        return await engine.complete(name, tokens=WITNESS_TOKENS)


def write_witnesses(trained: Sequence[Parts], folder: Path) -> Witnesses:
    """Write the witnesses' files: two trained styles, and one of zeros through which the base answers."""
    first, second = trained[:2]
    zeros = replace(first, tensors={name: np.zeros_like(tensor) for name, tensor in first.tensors.items()})
    folders = {}
    for name, parts in {"witness-1": first, "witness-2": second, "witness-base": zeros}.items():
        folders[name] = folder / name
        named = replace(parts, metadata={"witness": name})  # no other file is like it
        files = encode(serialize(lay_out(named)))
        write_files(folders[name], bytes(files.config), bytes(files.weights))
    return Witnesses(folders, {})
