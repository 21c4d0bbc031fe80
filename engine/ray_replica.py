"""A replica of engine/serve_ray.py: Ray's own, with the copies of adapters in the cluster's folder."""

import os
from functools import partial

from ray.llm._internal.serve.core.server.llm_server import LLMServer
from ray.llm._internal.serve.utils.lora_serve_utils import LoraModelLoader

COPIES = "RAY_ADAPTERS_DIR"


class Replica(LLMServer):
    """Ray has no option for the folder: its own is one in /tmp that all clusters of a machine share."""

    def _init_multiplex_loader(self, model_downloader_cls: type[LoraModelLoader] | None = None) -> None:
        loader = partial(model_downloader_cls or LoraModelLoader, lora_root=os.environ[COPIES])
        super()._init_multiplex_loader(loader)
