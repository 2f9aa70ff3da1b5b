"""Deployments as texts, and what the audit says of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from console.deploy.audit import Audit, audit
from console.deploy.model import Server
from console.findings import Finding

TODAY = date(2026, 6, 1)
RUNNING = Server(17, 5, "Debian")

SOUND = """\
services:
  db:
    image: postgres:17.99-bookworm
    restart: unless-stopped
    user: "999:999"
    environment:
      POSTGRES_USER: app
      POSTGRES_PASSWORD_FILE: /run/secrets/password
      POSTGRES_INITDB_ARGS: --data-checksums
    secrets: [password]
    command: [postgres, -c, shared_buffers=256MB]
    volumes:
      - data:/var/lib/postgresql/data
    networks: [inner]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    read_only: true
    tmpfs: [/tmp, /run/postgresql]
    shm_size: 256m
    mem_limit: 2g
    cpus: 2
    pids_limit: 512
    stop_grace_period: 2m
    healthcheck:
      test: [CMD, pg_isready, -h, 127.0.0.1, -U, app]
      interval: 15s
      start_period: 1m
    logging: {driver: json-file, options: {max-size: 10m}}
  app:
    image: node:22
    networks: [inner]
    depends_on: {db: {condition: service_healthy}}
  backup:
    image: postgres:17.99-bookworm
    command: pg_dump -h db -f /backups/dump
    volumes: ["./backups:/backups"]
networks:
  inner: {internal: true}
volumes: {data: {}}
secrets:
  password: {file: ./password.txt}
"""


def judge(
    directory: Path,
    *texts: str,
    variables: Mapping[str, str] | None = None,
    server: Server | None = RUNNING,
    today: date = TODAY,
) -> Audit:
    """The audit of texts, written as 1.yaml, 2.yaml ... and judged together."""
    paths = []
    for number, text in enumerate(texts, 1):
        path = directory / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return audit(paths, variables=variables or {}, server=server, today=today)


def of(done: Audit, check: str) -> list[Finding]:
    """The findings of one rule."""
    return [finding for finding in done.findings if finding.check == check]
