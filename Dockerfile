# The base needs Python 3.11 or newer with pip and venv; any will do: --build-arg BASE=...
ARG BASE=registry.access.redhat.com/ubi9/python-312

FROM ${BASE} AS build
USER 0
# 0 leaves the vendors' addresses of their signing keys in the distribution directory, instead of the keys.
ARG FETCH_KEYS=1
WORKDIR /app
RUN python3 -m venv /app/.venv
COPY requirements/runtime.txt requirements/
RUN /app/.venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY . .
RUN /app/.venv/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && if [ "${FETCH_KEYS}" = 1 ]; then /app/.venv/bin/image-builder distributions fetch-keys; fi \
    && /app/.venv/bin/image-builder distributions check \
    && /app/.venv/bin/python -m compileall -q domain ports adapters image_builder

FROM ${BASE}
ARG BUILD_COMMIT=""
ARG BUILD_TIME=""
ENV PATH=/app/.venv/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LISTEN_ADDRESS=0.0.0.0:8000 \
    BUILD_COMMIT=${BUILD_COMMIT} \
    BUILD_TIME=${BUILD_TIME}
COPY --from=build /app /app
WORKDIR /app
USER 1001
EXPOSE 8000
HEALTHCHECK CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/status', timeout=3)"]
CMD ["image-builder", "serve"]
