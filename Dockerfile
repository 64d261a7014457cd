FROM python:3.12-slim AS packages
COPY requirements/runtime.txt requirements/semantic.txt ./
RUN python -m venv /venv && pip="/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes" \
    && $pip -r runtime.txt && $pip --no-deps -r semantic.txt

FROM python:3.12-slim
RUN useradd --uid 10001 --home-dir /app --shell /usr/sbin/nologin app
COPY --from=packages /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0
WORKDIR /app
COPY server.py services.yaml policy.yaml ./
COPY api api
COPY boot boot
COPY checkpoints checkpoints
COPY demo demo
COPY domain domain
COPY graph graph
COPY nodes nodes
COPY tools tools
RUN python -m compileall -q . && mkdir data && chown app:app data
USER 10001:10001
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=5s --retries=6 --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8700/health', timeout=4)"]
CMD ["python", "server.py"]
