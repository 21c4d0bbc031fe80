# The training worker: the site's code, and beside it the Python of vLLM's image, which has PyTorch, with PEFT. Two
# environments: no worker imports PyTorch, only the child process that trains (TRAINING_PYTHON).

ARG VLLM_IMAGE=vllm/vllm-openai:v0.33.0
FROM ${VLLM_IMAGE}
ARG SOURCE_DATE_EPOCH
USER root
ENV UV_PYTHON_DOWNLOADS=never
RUN python3 -m pip install --no-cache-dir uv==0.13.9
# vLLM's own packages stay as they are: a .pth file shows them to the trainer's environment, which adds what they lack
COPY engine/locks/cuda.txt /tmp/cuda.txt
RUN sed -n '/^accelerate==/,/[^\\]$/p; /^peft==/,/[^\\]$/p' /tmp/cuda.txt > /tmp/requirements.txt \
    && uv venv --python "$(command -v python3)" /opt/training \
    && uv pip install --no-cache --python /opt/training/bin/python --no-deps --require-hashes -r /tmp/requirements.txt \
    && python3 -c "import torch, pathlib; print(pathlib.Path(torch.__file__).parents[1])" \
       > "$(/opt/training/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vllm.pth" \
    && /opt/training/bin/python -c "import accelerate, peft, torch, transformers"
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH uv sync --no-cache --frozen --no-default-groups --group traces --no-install-project \
    --python "$(command -v python3)"
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app:/app/platform PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TRAINING_PYTHON=/opt/training/bin/python
COPY manage.py ./
COPY platform platform
COPY core core
COPY tenants tenants
COPY events events
COPY metering metering
COPY accounts accounts
COPY adapters adapters
COPY inference inference
COPY keys keys
COPY provenance provenance
COPY billing billing
COPY training training
COPY drafts drafts
COPY engine/adapter.py engine/base_layers.py engine/train.py engine/evidence.py engine/
COPY engine/trainer engine/trainer
COPY engine/scoring engine/scoring
COPY engine/controls engine/controls
RUN useradd --uid 10001 --no-create-home polyscribe
USER polyscribe
ENTRYPOINT []
CMD ["celery", "-A", "config", "worker", "-Q", "training", "--pool", "threads", "--concurrency", "1", "--loglevel", "INFO"]
