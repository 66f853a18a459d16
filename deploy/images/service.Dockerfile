# The service, searches, and what moves collections. No PyTorch. Built by `make images`; with docker:
#   make page && sh deploy/images/wheels.sh && docker build -f deploy/images/service.Dockerfile -t semblant-service:0.1.0 .
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# 1 where all wheels are at hand and no index is to be asked.
ARG PIP_NO_INDEX=
COPY dist/images/wheels/ /wheels/
RUN python3 -m venv /opt/semblant \
    && /opt/semblant/bin/pip install --no-cache-dir --disable-pip-version-check --constraint /wheels/constraints.txt \
        --find-links /wheels "semblant-search[edge,heif,jxl,orb,tiff,web]==0.1.0" \
    && rm -rf /opt/semblant/lib/python3*/site-packages/pip*

FROM ${BASE}
RUN groupadd --gid 10001 semblant \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin semblant \
    && install -d -m 1777 /cache \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/semblant /opt/semblant
ENV PATH=/opt/semblant/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    SEMBLANT_CACHE=/cache \
    SEMBLANT_DB=/data/pictures.db
USER 10001:10001
WORKDIR /data
# Nothing but these is written: run it with a read-only root.
VOLUME ["/cache", "/data", "/tmp"]
EXPOSE 8765
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8765/livez', timeout=4)"]
ENTRYPOINT ["semblant"]
CMD ["serve", "--host", "0.0.0.0", "--keys", "/keys/keys.json"]
