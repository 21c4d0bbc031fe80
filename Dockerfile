# The site: web, workers and beat. vLLM has an image of its own (docker-compose.yml).

ARG PYTHON_IMAGE=python:3.13.17-slim-trixie
FROM ${PYTHON_IMAGE} AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
# compiled files that name no time: a release's image gives every file its commit's (deploy/release.sh)
RUN UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH uv sync --frozen --no-default-groups --group traces --no-install-project

# what only a build needs: it compiles the translations and makes the fonts and the guides' pages
FROM build AS made
RUN UV_PYTHON_DOWNLOADS=never uv sync --frozen --only-group build --no-install-project
COPY locale locale
COPY docs docs
COPY SECURITY.md ./
COPY dev/bench/README.md dev/bench/README.md
COPY dev/stack/web_fonts.py dev/stack/guides.py dev/stack/
RUN mkdir static && .venv/bin/python locale/compile.py && .venv/bin/python dev/stack/web_fonts.py \
    && .venv/bin/python dev/stack/guides.py

FROM ${PYTHON_IMAGE}
ARG SOURCE_DATE_EPOCH
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app:/app/platform PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=build /app/.venv .venv
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
COPY templates templates
COPY static static
COPY --from=made /app/locale locale
COPY --from=made /app/static/fonts static/fonts
COPY engine/styles engine/styles
# Kubernetes' engine pods take vLLM's launcher and plugin from here (deploy/kubernetes/base/engine.yaml)
COPY engine/serve.py engine/libnuma.py engine/prepare.py engine/convert.py engine/
COPY engine/extensions engine/extensions
# the site shows them at /docs/
COPY --from=made /app/docs/built docs/built
# the settings ask for these; collecting files uses none of them
RUN DJANGO_SECRET_KEY=build DATABASE_URL=postgres://build@localhost/build VALKEY_URL=redis://localhost/0 \
    CELERY_BROKER_URL=redis://localhost/1 API_KEY_PEPPERS=1:00 CACHE_SALT_SECRET=00 \
    python manage.py collectstatic --no-input --ignore '*.map' \
    && useradd --uid 10001 --no-create-home polyscribe
USER polyscribe
EXPOSE 8000
CMD ["uvicorn", "config.asgi:application", "--host=0.0.0.0", "--port=8000", "--loop=uvloop", "--http=httptools"]
