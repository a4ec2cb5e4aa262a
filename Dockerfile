# The reference, or with another command the instrument. No daemon was at hand to build this: it is linted, and the steps that
# need none are tested (tests/adoption/test_container.py).
FROM python:3.12-slim AS build
WORKDIR /source
RUN pip install --no-cache-dir hatchling==1.33.0
COPY pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE ./
COPY spec spec
COPY conformance conformance
COPY reference_impl reference_impl
COPY load load
RUN python -m hatchling build -t wheel -d /dist

FROM python:3.12-slim
COPY requirements.lock /tmp/requirements.lock
COPY --from=build /dist /tmp/dist
# The lock's versions, without its hashes: they bind what the wheel's extras ask for, and nothing else is installed.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN grep -oE '^[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ]+' /tmp/requirements.lock | sed -E 's/\[[a-z,]+\]//' >/tmp/constraints.txt \
    && wheel=$(echo /tmp/dist/*.whl) \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt "aiconform[all] @ file://${wheel}" \
    && rm -rf /tmp/dist /tmp/requirements.lock /tmp/constraints.txt \
    && useradd --system --uid 10001 --create-home --home-dir /data aiconform
USER 10001
WORKDIR /data
ENV PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/v1/health', timeout=2)"]
ENTRYPOINT ["aiconform"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
