# --build-arg BASE=... takes any other with Python 3.11 or newer, venv, and packages that rpm or dpkg can list.
ARG BASE=registry.access.redhat.com/ubi9/python-312-minimal
# Where building takes more than running does (a proxy's certificate, for one): the same as BASE, and that on top.
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
USER 0
WORKDIR /app
RUN python3 -m venv /tools && python3 -m venv --without-pip .venv
COPY requirements/runtime.txt requirements/sbom.txt requirements/runtime.in requirements/
RUN /tools/bin/pip --python .venv/bin/python install --no-cache-dir --require-hashes -r requirements/runtime.txt \
    && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements/sbom.txt
COPY pyproject.toml README.md LICENSE openapi.yaml ./
COPY tools/build_commands.py tools/
COPY domain domain
COPY ports ports
COPY adapters adapters
COPY image_builder image_builder
COPY distributions distributions
COPY deploy/image ./
# 0 leaves the vendors' addresses of their signing keys in the distribution directory, instead of the keys.
ARG FETCH_KEYS=1
# Nobody but root may write here, whatever the modes of the files that were copied.
RUN /tools/bin/pip --python .venv/bin/python install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && if [ "${FETCH_KEYS}" = 1 ]; then .venv/bin/image-builder distributions fetch-keys; fi \
    && .venv/bin/image-builder distributions check \
    && .venv/bin/python -m compileall -q domain ports adapters image_builder \
    && mkdir config \
    && rm -rf requirements tools *.egg-info/SOURCES.txt \
    && chmod -R a+rX,go-w .

# What the system below is made of, for the SBOM.
FROM ${BASE} AS system
USER 0
COPY tools/system_packages.sh /tmp/
RUN sh /tmp/system_packages.sh > /tmp/packages.tsv

FROM build AS described
COPY tools/sbom.py /tools/
COPY --from=system /tmp/packages.tsv /tools/
RUN /tools/bin/python /tools/sbom.py --pyproject pyproject.toml --system /tools/packages.tsv \
    .venv/bin/python /app/sbom.cdx.json

FROM ${BASE}
ARG BUILD_COMMIT=""
ARG BUILD_TIME=""
LABEL org.opencontainers.image.title="image-builder" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${BUILD_COMMIT}" \
      org.opencontainers.image.created="${BUILD_TIME}"
ENV PATH=/app/.venv/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LISTEN_ADDRESS=0.0.0.0:8000 \
    BUILD_COMMIT=${BUILD_COMMIT} \
    BUILD_TIME=${BUILD_TIME}
COPY --from=described /app /app
WORKDIR /app
# Any other that is not root will do as well.
USER 1001:0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/app/image-builder-health"]
ENTRYPOINT []
CMD ["/app/image-builder"]
