# The agent of MediaNest Console, with pg_dump and pg_restore of PostgreSQL @MAJOR@.
#   docker build -t medianest-agent -f agent.Dockerfile .
FROM python:3.13-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-common ca-certificates \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-@MAJOR@ \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir 'medianest-console[agent]==@VERSION@'

# Owned by the agent's account here, so that new volumes begin as its own.
RUN useradd --uid 10001 --no-create-home --home-dir /state medianest \
    && install -d -o medianest -g medianest -m 0700 /state /backups
USER 10001:10001
ENV XDG_STATE_HOME=/state XDG_DATA_HOME=/backups HOME=/state PYTHONDONTWRITEBYTECODE=1
VOLUME ["/state", "/backups"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["medianest-console", "health", "--agent"]
ENTRYPOINT ["medianest-console"]
CMD ["agent", "--settings", "/etc/medianest/settings.yaml"]
