# Making encoders, with PyTorch: five gigabytes of it for a GPU, or for processors alone from PyTorch's own index, by
#   --build-arg TORCH=URL. Built by `make images IMAGES=trainer`; with docker:
#   make page && sh deploy/images/wheels.sh && docker build -f deploy/images/trainer.Dockerfile -t semblant-trainer:0.1.0 .
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# 1 where all wheels are at hand and no index is to be asked.
ARG PIP_NO_INDEX=
# Another index to take PyTorch from.
ARG TORCH=
COPY dist/images/wheels/ /wheels/
RUN python3 -m venv /opt/semblant \
    && /opt/semblant/bin/pip install --no-cache-dir --disable-pip-version-check --constraint /wheels/constraints.txt \
        --find-links /wheels ${TORCH:+--extra-index-url "$TORCH"} \
        "semblant-exporter[pretrained]==0.1.0" "semblant-search[heif,jxl,pdf,raw,svg,tiff,video]==0.1.0" \
    && rm -rf /opt/semblant/lib/python3*/site-packages/pip*

FROM ${BASE}
RUN groupadd --gid 10001 semblant \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin semblant \
    && install -d -m 1777 /cache \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/semblant /opt/semblant
ENV PATH=/opt/semblant/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp \
    PYTHONUNBUFFERED=1 \
    SEMBLANT_CACHE=/cache
USER 10001:10001
WORKDIR /data
VOLUME ["/cache", "/data", "/tmp"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["semblant", "--version"]
ENTRYPOINT ["semblant"]
CMD ["train", "--help"]
