# The batch job: `semblant index`, and all that looks after a collection. No PyTorch. Built by `make images`; with docker:
#   make page && sh deploy/images/wheels.sh && docker build -f deploy/images/indexer.Dockerfile -t semblant-indexer:0.1.0 .
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# 1 where all wheels are at hand and no index is to be asked.
ARG PIP_NO_INDEX=
COPY dist/images/wheels/ /wheels/
RUN python3 -m venv /opt/semblant \
    && /opt/semblant/bin/pip install --no-cache-dir --disable-pip-version-check --constraint /wheels/constraints.txt \
        --find-links /wheels "semblant-indexer[map,metrics,parquet,remote,watch]==0.1.0" "semblant-search[heif,jxl,pdf,raw,svg,tiff,video]==0.1.0" \
    && rm -rf /opt/semblant/lib/python3*/site-packages/pip*

FROM ${BASE}
RUN groupadd --gid 10001 semblant \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin semblant \
    && install -d -m 1777 /cache \
    && install -d -o 10001 -g 10001 /data /ledger
COPY --from=build /opt/semblant /opt/semblant
ENV PATH=/opt/semblant/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    SEMBLANT_CACHE=/cache \
    SEMBLANT_DB=/data/pictures.db
USER 10001:10001
WORKDIR /data
VOLUME ["/cache", "/data", "/ledger", "/tmp"]
# A job ends by itself: what may be asked of it is its metrics, where it has them (--metrics-port 9100).
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["semblant", "--version"]
ENTRYPOINT ["semblant"]
CMD ["index", "--help"]
