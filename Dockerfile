# One image for the head, the workers, the controller and the drivers of jobs:
#   docker build -t tornio .                                     processors
#   docker build -t tornio --build-arg ACCELERATOR=cuda .        GPUs: PyPI's torch contains CUDA, the driver is the node's
#   docker build -t tornio-dev --target dev .                    with Argilla, object store and MiniLM, for trying out
# Only /tmp is written at run time (Ray's session, model cache). Everything else may be read-only, for any uid.
ARG BASE_IMAGE=python:3.11-slim

# Dependencies come before code, each in a folder and layer of its own: a release with other code only pulls the code.
FROM ${BASE_IMAGE} AS deps
ARG ACCELERATOR=cpu
WORKDIR /build
RUN python3 -m venv /opt/tornio
COPY constraints/cluster.txt constraints/
COPY scripts/install-torch scripts/
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "$ACCELERATOR" = cuda ]; then \
      /opt/tornio/bin/python -m pip install -q "torch==$(sed -n 's/^torch==//p' constraints/cluster.txt)"; \
    else \
      scripts/install-torch /opt/tornio/bin/python constraints/cluster.txt; \
    fi
# Installs an empty package with the same dependencies, and removes it again, so that only the dependencies remain.
COPY pyproject.toml README.md LICENSE ./
RUN --mount=type=cache,target=/root/.cache/pip \
    mkdir tornio jobs services && touch tornio/__init__.py jobs/__init__.py services/__init__.py && \
    /opt/tornio/bin/python -m pip install -q -c constraints/cluster.txt '.[cluster,hub,quality]' && \
    /opt/tornio/bin/python -m pip uninstall -q -y tornio && \
    echo /opt/code > "$(/opt/tornio/bin/python -c 'import site; print(site.getsitepackages()[0])')/code.pth" && \
    /opt/tornio/bin/python -m pip uninstall -q -y pip && \
    find /opt/tornio/lib -depth -type d -name tests -exec rm -r {} + && \
    python3 -m venv /opt/pip

FROM deps AS code
COPY tornio tornio
COPY jobs jobs
COPY services services
RUN /opt/pip/bin/python -m pip --python /opt/tornio/bin/python install -q --no-deps --target /opt/code . && \
    cd / && HF_HUB_OFFLINE=1 /opt/tornio/bin/python -c 'import jobs.__main__, services.app, transformers, sklearn.linear_model, ray.data'

# Argilla cannot share an environment with Ray Serve.
FROM ${BASE_IMAGE} AS argilla
COPY constraints/argilla.txt constraints/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/argilla && \
    /opt/argilla/bin/python -m pip install -q -c constraints/argilla.txt argilla-server && \
    /opt/argilla/bin/python -m pip uninstall -q -y pip

FROM deps AS embedded
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/python -m pip --python /opt/tornio/bin/python install -q -c constraints/cluster.txt '.[embedded]' && \
    /opt/pip/bin/python -m pip --python /opt/tornio/bin/python uninstall -q -y tornio

FROM ${BASE_IMAGE} AS base
ARG VERSION=0.2.0
ARG REVISION=""
LABEL org.opencontainers.image.title="Tornio" \
      org.opencontainers.image.description="From unlabelled text and a few annotators to a served classifier that keeps getting better" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/code/bin:/opt/tornio/bin:$PATH \
    HOME=/tmp \
    TORNIO_CACHE_DIR=/tmp/tornio \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
WORKDIR /tmp

# For trying out: contains the services that production has elsewhere.
FROM base AS dev
COPY --from=argilla /opt/argilla /opt/argilla
COPY --from=embedded /opt/tornio /opt/tornio
COPY --from=code /opt/code /opt/code

FROM base
COPY --from=deps /opt/tornio /opt/tornio
COPY --from=code /opt/code /opt/code
