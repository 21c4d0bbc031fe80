"""A replica of engine/serve_ray.py: Ray's own, with two faults corrected that it has no options for.

It has our tool parser, too: Ray knows no `--tool-parser-plugin`.
"""

import asyncio
import os
from collections import defaultdict
from functools import partial

import polyscribe_tools  # noqa: F401  makes its tool parser known to vLLM
from ray import serve
from ray.llm._internal.serve.core.server.llm_server import LLMServer
from ray.llm._internal.serve.utils.lora_serve_utils import LoraModelLoader

ADAPTERS_VARIABLE = "RAY_ADAPTERS_DIR"


class Replica(LLMServer):
    """Keeps copies of adapters in the cluster's folder, and loads each adapter once.

    Ray's own folder is one in /tmp that all clusters of a machine share. And of requests that need the same
    new adapter at once, Ray lets one load it and fails the others: "has already been loaded".
    """

    def _init_multiplex_loader(self, model_downloader_cls: type[LoraModelLoader] | None = None) -> None:
        self._loading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        loader = partial(model_downloader_cls or LoraModelLoader, lora_root=os.environ[ADAPTERS_VARIABLE])
        super()._init_multiplex_loader(loader)

    async def _maybe_resolve_lora_from_multiplex(self) -> None:
        async with self._loading[serve.get_multiplexed_model_id()]:
            await super()._maybe_resolve_lora_from_multiplex()
