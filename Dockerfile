# syntax=docker/dockerfile:1
# The bot, its web studio and a local engine worker. PyPI's torch carries CUDA: run with --gpus all.
# For a smaller image without it, name PyTorch's own index of CPU builds:
# --build-arg TORCH="torch --index-url ADDRESS".
FROM python:3.12-slim-bookworm AS build
ARG TORCH=torch
WORKDIR /src
COPY constraints.txt pyproject.toml README.md ./
RUN python -m venv /opt/atelier \
 && /opt/atelier/bin/pip install --no-cache-dir --constraint constraints.txt ${TORCH}
COPY bot bot
COPY engine engine
COPY migrations migrations
RUN /opt/atelier/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 10001 atelier \
 && mkdir /data && chown atelier /data
COPY --from=build /opt/atelier /opt/atelier
ENV PATH=/opt/atelier/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ATELIER_DATA_DIR=/data \
    ATELIER_WEB__HOST=0.0.0.0
USER atelier
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["atelier"]
CMD ["run"]
