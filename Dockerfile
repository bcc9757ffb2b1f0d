# syntax=docker/dockerfile:1
# The bot, its web studio and a local engine worker. PyPI's torch carries CUDA: run with --gpus all.
# For a smaller image without it, name PyTorch's own index of CPU builds beside PyPI, which has what
# torch needs in the versions of constraints.txt: --build-arg TORCH="torch --extra-index-url ADDRESS".
FROM python:3.12-slim-bookworm AS build
ARG TORCH=torch
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/atelier
# What changes least comes first, so that a build after a change of the code fetches nothing.
COPY constraints.txt ./
RUN /opt/atelier/bin/pip install --constraint constraints.txt ${TORCH}
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needed.txt \
 && /opt/atelier/bin/pip install --constraint constraints.txt --requirement needed.txt
COPY README.md LICENSE ./
COPY bot bot
COPY engine engine
COPY migrations migrations
RUN /opt/atelier/bin/pip install --no-deps .

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 10001 atelier \
 && mkdir /data && chown atelier: /data
COPY --from=build /opt/atelier /opt/atelier
ENV PATH=/opt/atelier/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ATELIER_DATA_DIR=/data \
    ATELIER_WEB__HOST=0.0.0.0 \
    ATELIER_WEB__PORT=8080
USER 10001
# An atelier.toml in the volume is read, too.
WORKDIR /data
VOLUME /data
EXPOSE 8080
# By http.client, which asks no proxy; without the web studio there is nothing to ask.
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 \
  CMD ["python", "-c", "import http.client, sys; from bot.settings import read_settings; web = read_settings().web; web.enabled or sys.exit(); c = http.client.HTTPConnection('127.0.0.1', web.port, timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
# In exec form, so that the service itself hears SIGTERM; run it with --init, as compose.yaml does.
ENTRYPOINT ["atelier"]
CMD ["run"]
