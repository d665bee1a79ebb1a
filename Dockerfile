FROM python:3.11-slim AS made

# TORCH: "torch==2.13.0" takes the CUDA build from the registry; a CPU wheel may be named instead.
ARG TORCH=torch==2.13.0
WORKDIR /srv/touchstone
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
 && /opt/venv/bin/pip install --no-cache-dir "${TORCH}"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home touchstone \
 && mkdir -p /var/lib/touchstone && chown touchstone /var/lib/touchstone && chmod 700 /var/lib/touchstone
COPY --from=made /opt/venv /opt/venv
WORKDIR /srv/touchstone
COPY manage.py ./
COPY annotate annotate
COPY trainer trainer
COPY rlhf rlhf
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TOUCHSTONE_HOME=/var/lib/touchstone OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1
USER touchstone
VOLUME /var/lib/touchstone
EXPOSE 8000
CMD ["gunicorn", "rlhf.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8"]
