"""Every rule of the audit on compose files: what fires it, what mends it, what must not fire it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from deployments import SOUND, judge, of

from console.deploy.model import Platform, Server
from console.deploy.rules import RULES
from console.findings import Severity

FAILURE, UNKNOWN, WARNING, INFO = (
    Severity.FAILURE,
    Severity.UNKNOWN,
    Severity.WARNING,
    Severity.INFO,
)

# Rule, severity, and what is laid over the sound service `db`.
BROKEN = [
    ("deploy.image-pinned", FAILURE, "image: postgres"),
    ("deploy.image-pinned", FAILURE, "image: docker.io/library/postgres:latest"),
    ("deploy.image-pinned", WARNING, "image: postgres:17.99"),
    ("deploy.image-supported", FAILURE, "image: postgres:12-bookworm"),
    ("deploy.image-supported", FAILURE, "image: postgres:13.23-bookworm"),
    ("deploy.image-supported", WARNING, "image: postgres:17.1-bookworm"),
    ("deploy.image-supported", UNKNOWN, "image: postgres:39-bookworm"),
    ("deploy.image-major", FAILURE, "image: postgres:16-bookworm"),
    ("deploy.image-major", WARNING, "image: postgres:17.4-bookworm"),
    ("deploy.image-distribution", FAILURE, "image: postgres:17-alpine"),
    ("deploy.volume-target", FAILURE, "volumes: !override ['data:/var/lib/postgresql']"),
    ("deploy.volume-target", FAILURE, "image: postgres:18-bookworm"),
    ("deploy.data-volume", FAILURE, "volumes: !override []"),
    ("deploy.data-volume", FAILURE, "volumes: !override [/var/lib/postgresql/data]"),
    ("deploy.data-volume", FAILURE, "volumes: !override []\ntmpfs: [/var/lib/postgresql/data]"),
    ("deploy.data-volume", FAILURE, "volumes: ['data:/var/lib/postgresql/data:ro']"),
    ("deploy.init-scripts", WARNING, "volumes: ['./init:/docker-entrypoint-initdb.d']"),
    ("deploy.auth-trust", FAILURE, "environment: {POSTGRES_HOST_AUTH_METHOD: trust}"),
    ("deploy.auth-trust", FAILURE, "environment: [ALLOW_EMPTY_PASSWORD=yes]"),
    ("deploy.password-plain", FAILURE, "environment: {POSTGRES_PASSWORD: canary-7f3}"),
    ("deploy.password-plain", FAILURE, "environment: ['POSTGRES_PASSWORD=${A:-canary-7f3}']"),
    ("deploy.password-plain", FAILURE, "environment: ['POSTGRES_PASSWORD=${WEAK}']"),
    ("deploy.password-environment", WARNING, "environment: ['POSTGRES_PASSWORD=${STRONG}']"),
    ("deploy.password-environment", WARNING, "environment: [POSTGRES_PASSWORD]"),
    ("deploy.password-twice", FAILURE, "environment: ['POSTGRES_PASSWORD=${STRONG}']"),
    ("deploy.password-missing", FAILURE, "environment: !override {POSTGRES_USER: app}"),
    ("deploy.port-published", FAILURE, "ports: ['5432:5432']"),
    ("deploy.port-published", FAILURE, "ports: [5432]"),
    ("deploy.port-published", FAILURE, "ports: [{target: 5432, published: 5432}]"),
    ("deploy.port-published", FAILURE, "ports: ['192.168.1.5:5432:5432']"),
    ("deploy.port-published", UNKNOWN, "ports: ['${BIND}:5432:5432']"),
    ("deploy.network-internal", WARNING, "networks: !override [outer]"),
    ("deploy.network-internal", WARNING, "networks: !reset null"),
    ("deploy.network-internal", FAILURE, "networks: !reset null\nnetwork_mode: host"),
    ("deploy.network-internal", WARNING, "networks: !reset null\nnetwork_mode: bridge"),
    ("deploy.host-access", FAILURE, "privileged: true"),
    ("deploy.host-access", FAILURE, "pid: host"),
    ("deploy.host-access", FAILURE, "ipc: host"),
    ("deploy.host-access", FAILURE, "userns_mode: host"),
    ("deploy.host-access", FAILURE, "devices: ['/dev/sda:/dev/sda']"),
    ("deploy.host-access", FAILURE, "volumes: ['/var/run/docker.sock:/var/run/docker.sock']"),
    ("deploy.host-access", UNKNOWN, "privileged: '${PRIVILEGED}'"),
    ("deploy.capabilities", WARNING, "cap_drop: !reset null"),
    ("deploy.capabilities", FAILURE, "cap_add: [SYS_ADMIN]"),
    ("deploy.capabilities", FAILURE, "cap_add: [CHOWN]"),
    ("deploy.capabilities", FAILURE, "user: !reset null\ncap_add: [CHOWN, FOWNER]"),
    ("deploy.no-new-privileges", WARNING, "security_opt: !reset null"),
    ("deploy.no-new-privileges", WARNING, "security_opt: !override ['no-new-privileges:false']"),
    ("deploy.user", FAILURE, "user: '70:70'"),
    ("deploy.user", FAILURE, "user: '999:1000'"),
    ("deploy.user", FAILURE, "image: postgres:17-alpine"),
    ("deploy.user", INFO, "user: !reset null"),
    ("deploy.user", WARNING, "user: root\ncap_drop: !reset null"),
    ("deploy.user", UNKNOWN, "image: supabase/postgres:17.1.0"),
    ("deploy.read-only-root", WARNING, "read_only: !reset null"),
    ("deploy.read-only-root", FAILURE, "tmpfs: !override [/tmp]"),
    ("deploy.read-only-root", FAILURE, "tmpfs: !override [/tmp, /var/run]"),
    ("deploy.tmpfs-mode", FAILURE, "tmpfs: !override ['/tmp:mode=700', /run/postgresql]"),
    ("deploy.confined", FAILURE, "security_opt: ['seccomp:unconfined']"),
    ("deploy.confined", FAILURE, "security_opt: ['apparmor=unconfined']"),
    ("deploy.memory-limit", WARNING, "mem_limit: !reset null"),
    ("deploy.memory-limit", WARNING, "mem_limit: 0"),
    ("deploy.memory-limit", WARNING, "mem_limit: 512m"),
    ("deploy.memory-limit", UNKNOWN, "mem_limit: much"),
    ("deploy.memory-limit", UNKNOWN, "command: postgres -c config_file=/etc/postgresql.conf"),
    ("deploy.cpu-limit", WARNING, "cpus: !reset null"),
    ("deploy.shm-size", WARNING, "shm_size: !reset null"),
    ("deploy.shm-size", WARNING, "shm_size: 128m"),
    ("deploy.pids-limit", WARNING, "pids_limit: !reset null"),
    ("deploy.pids-limit", WARNING, "pids_limit: -1"),
    ("deploy.open-files", WARNING, "ulimits: {nofile: 1024}"),
    ("deploy.open-files", WARNING, "ulimits: {nofile: {soft: 1024, hard: 4096}}"),
    ("deploy.healthcheck", WARNING, "healthcheck: !reset null"),
    ("deploy.healthcheck", WARNING, "healthcheck: {disable: true}"),
    ("deploy.healthcheck", WARNING, "healthcheck: {test: [NONE]}"),
    ("deploy.healthcheck", WARNING, "healthcheck: {test: 'exit 0'}"),
    ("deploy.healthcheck", WARNING, "healthcheck: {test: pg_isready -U app}"),
    ("deploy.healthcheck", UNKNOWN, "healthcheck: {test: 'pg_isready -h 127.0.0.1 -U $NOBODY'}"),
    ("deploy.healthcheck-timing", WARNING, "healthcheck: {interval: 1m30s}"),
    ("deploy.healthcheck-timing", WARNING, "healthcheck: {interval: !reset null}"),
    ("deploy.healthcheck-timing", WARNING, "healthcheck: {start_period: !reset null}"),
    ("deploy.restart", WARNING, "restart: 'no'"),
    ("deploy.restart", WARNING, "restart: !reset null"),
    ("deploy.stop-grace", WARNING, "stop_grace_period: !reset null"),
    ("deploy.stop-grace", WARNING, "stop_grace_period: 30s"),
    ("deploy.stop-signal", WARNING, "stop_signal: SIGTERM"),
    ("deploy.stop-signal", FAILURE, "stop_signal: 9"),
    ("deploy.logging", WARNING, "logging: !reset null"),
    ("deploy.logging", WARNING, "logging: !override {driver: json-file}"),
    ("deploy.server-flags", FAILURE, "command: postgres -c fsync=off"),
    ("deploy.server-flags", FAILURE, "command: postgres -F"),
    ("deploy.server-flags", FAILURE, "command: [-c, full_page_writes=off]"),
    ("deploy.server-flags", FAILURE, "command: postgres --autovacuum=off"),
    ("deploy.server-flags", WARNING, "command: postgres -c synchronous_commit=off"),
    ("deploy.server-flags", WARNING, "command: postgres -c log_statement=all"),
    ("deploy.server-flags", WARNING, "command: postgres -N 900"),
    ("deploy.server-flags", WARNING, "command: postgres -c listen_addresses=localhost"),
    ("deploy.server-flags", UNKNOWN, "command: sh -c /start.sh"),
    ("deploy.server-flags", UNKNOWN, "command: postgres -c fsync=$FSYNC"),
    ("deploy.initdb", WARNING, "environment: {POSTGRES_INITDB_ARGS: !reset null}"),
    ("deploy.initdb", WARNING, "environment: {POSTGRES_INITDB_ARGS: --no-data-checksums}"),
    ("deploy.initdb", FAILURE, "environment: {POSTGRES_INITDB_ARGS: -k --auth=trust}"),
    ("deploy.initdb", WARNING, "environment: {POSTGRES_INITDB_ARGS: -k --encoding=LATIN1}"),
]
ELSEWHERE = [
    ("deploy.depends-on", WARNING, "  app: {depends_on: !override [db]}"),
    ("deploy.backup-place", FAILURE, "  backup: {volumes: ['data:/dumps']}"),
    (
        "deploy.backup-place",
        FAILURE,
        "  backup: {volumes: ['/var/run/docker.sock:/var/run/docker.sock']}",
    ),
    ("deploy.backup-place", INFO, "  backup: !reset null"),
]
VARIABLES = {"WEAK": "postgres", "STRONG": "canary-7f3"}


def over(body: str) -> str:
    indented = body.replace("\n", "\n    ")
    return f"services:\n  db:\n    {indented}\n"


CASES = [(check, severity, over(body)) for check, severity, body in BROKEN] + [
    (check, severity, f"services:\n{body}\n") for check, severity, body in ELSEWHERE
]


def test_a_sound_deployment_gives_no_finding(tmp_path: Path) -> None:
    assert [(f.check, f.message) for f in judge(tmp_path, SOUND).findings] == []
    assert judge(tmp_path, SOUND).verdict is Severity.OK


@pytest.mark.parametrize(("check", "severity", "broken"), CASES)
def test_a_flaw_is_told_once_where_it_stands_and_without_a_password(
    tmp_path: Path, check: str, severity: Severity, broken: str
) -> None:
    done = judge(tmp_path, SOUND, broken, variables=VARIABLES)
    found = of(done, check)
    assert [finding.severity for finding in found] == [severity], done.findings
    line = int(found[0].subject.partition(".yaml:")[2].split()[0])
    assert 1 <= line <= SOUND.count("\n")
    assert "canary" not in repr(done)


@pytest.mark.parametrize(("check", "severity", "broken"), CASES)
def test_the_mended_yaml_mends_it(
    tmp_path: Path, check: str, severity: Severity, broken: str
) -> None:
    found = of(judge(tmp_path, SOUND, broken, variables=VARIABLES), check)[0]
    is_line_to_take_away = found.fix.startswith("Take the")
    if severity in (UNKNOWN, INFO) or is_line_to_take_away or check in UNMENDED_BY_ADDING:
        return
    done = judge(tmp_path, SOUND, broken, found.fix, variables=VARIABLES)
    assert of(done, check) == []


UNMENDED_BY_ADDING = (
    # Lists of compose files are joined, so what is to go from one cannot be mended by another file.
    "deploy.capabilities",
    "deploy.no-new-privileges",
    "deploy.read-only-root",
    "deploy.volume-target",
    "deploy.data-volume",
    "deploy.backup-place",
    # The other image needs more than its own line.
    "deploy.image-supported",
    "deploy.network-internal",
    "deploy.tmpfs-mode",
)


def test_every_rule_for_compose_has_a_case() -> None:
    wanted = {rule.id for rule in RULES if Platform.COMPOSE in rule.platforms}
    assert {check for check, _, _ in CASES} == wanted
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(("check", "severity", "broken"), CASES)
def test_every_fix_is_yaml(tmp_path: Path, check: str, severity: Severity, broken: str) -> None:
    for finding in judge(tmp_path, SOUND, broken, variables=VARIABLES).findings:
        if not finding.fix.startswith(("Take the", "medianest-console")):
            yaml.compose(finding.fix)


QUIET = [
    ("deploy.image-pinned", "image: postgres:17@sha256:0123"),
    ("deploy.image-pinned", "image: registry.lan:5000/postgres:17-alpine"),
    (
        "deploy.volume-target",
        "image: postgres:18-bookworm\nvolumes: !override ['d:/var/lib/postgresql']",
    ),
    ("deploy.data-volume", "volumes: !override ['./data:/var/lib/postgresql/data']"),
    (
        "deploy.volume-target",
        "environment: {PGDATA: /data/main}\nvolumes: !override ['d:/data']",
    ),
    ("deploy.init-scripts", "volumes: ['./init:/docker-entrypoint-initdb.d:ro']"),
    ("deploy.port-published", "ports: ['127.0.0.1:5432:5432']"),
    ("deploy.port-published", "ports: ['[::1]:5432:5432']"),
    ("deploy.port-published", "ports: [{target: 5432, published: '5432', host_ip: 127.0.0.1}]"),
    ("deploy.network-internal", "networks: [inner, outer]"),
    ("deploy.network-internal", "networks: !reset null\nnetwork_mode: none"),
    ("deploy.host-access", "privileged: false"),
    (
        "deploy.capabilities",
        "user: !reset null\ncap_add: [CHOWN, DAC_OVERRIDE, FOWNER, SETGID, CAP_SETUID]",
    ),
    ("deploy.user", "user: postgres"),
    ("deploy.user", "image: postgres:17-alpine\nuser: '70'"),
    ("deploy.user", "image: pgvector/pgvector:0.8.0-pg17"),
    ("deploy.read-only-root", "tmpfs: !override [/tmp, /run]"),
    ("deploy.tmpfs-mode", "tmpfs: !override ['/tmp:mode=700,uid=999', /run/postgresql]"),
    ("deploy.confined", "security_opt: ['seccomp:./profile.json']"),
    ("deploy.memory-limit", "mem_limit: !reset null\ndeploy: {resources: {limits: {memory: 1G}}}"),
    ("deploy.cpu-limit", "cpus: !reset null\ndeploy: {resources: {limits: {cpus: '0.5'}}}"),
    ("deploy.pids-limit", "pids_limit: !reset null\ndeploy: {resources: {limits: {pids: 99}}}"),
    ("deploy.shm-size", "shm_size: !reset null\ntmpfs: ['/dev/shm:size=512m']"),
    ("deploy.shm-size", "shm_size: 64m\ncommand: postgres -c max_parallel_workers_per_gather=0"),
    ("deploy.healthcheck", "healthcheck: {test: 'psql -h localhost -U app -c \"SELECT 1\"'}"),
    ("deploy.stop-signal", "stop_signal: SIGINT"),
    ("deploy.logging", "logging: !override {driver: local}"),
    ("deploy.logging", "logging: {driver: journald}"),
    ("deploy.server-flags", "command: postgres -c fsync=on -c log_statement=ddl -N 500"),
    ("deploy.initdb", "image: postgres:18-bookworm\nenvironment: {POSTGRES_INITDB_ARGS: ''}"),
    ("deploy.password-missing", "environment: !override {POSTGRES_HOST_AUTH_METHOD: trust}"),
]


@pytest.mark.parametrize(("check", "body"), QUIET)
def test_what_is_right_in_another_way_is_let_be(tmp_path: Path, check: str, body: str) -> None:
    assert of(judge(tmp_path, SOUND, over(body)), check) == []


def test_support_ends_on_its_day(tmp_path: Path) -> None:
    text = SOUND.replace("17.99", "14")
    server = Server(14)
    on_the_day = judge(tmp_path, text, server=server, today=date(2026, 11, 12))
    after = judge(tmp_path, text, server=server, today=date(2026, 11, 13))
    assert of(on_the_day, "deploy.image-supported") == []
    assert of(after, "deploy.image-supported")[0].severity is FAILURE


def test_without_a_server_the_comparison_is_told_as_missing(tmp_path: Path) -> None:
    done = judge(tmp_path, SOUND, server=None)
    assert [(f.check, f.severity) for f in done.findings] == [("deploy.image-major", INFO)]


def test_an_environment_file_that_is_not_there_makes_what_it_may_say_unknown(
    tmp_path: Path,
) -> None:
    broken = over("environment: !override {POSTGRES_USER: app}\nenv_file: secrets.env")
    found = of(judge(tmp_path, SOUND, broken), "deploy.password-missing")
    assert [f.severity for f in found] == [UNKNOWN]
    (tmp_path / "secrets.env").write_text("# mine\nexport POSTGRES_PASSWORD='canary-7f3'\n")
    done = judge(tmp_path, SOUND, broken)
    assert of(done, "deploy.password-missing") == []
    (found_in_file,) = of(done, "deploy.password-environment")
    assert "secrets.env:2" in found_in_file.subject
    assert "canary" not in repr(done)


def test_an_image_behind_a_variable_is_unknown_and_not_skipped(tmp_path: Path) -> None:
    done = judge(tmp_path, "services:\n  x:\n    image: ${IMAGE}\n")
    assert [(f.check, f.severity) for f in done.findings] == [("deploy.image-unknown", UNKNOWN)]
    done = judge(tmp_path, SOUND.replace("17.99-bookworm", "${TAG}"))
    assert {f.severity for f in of(done, "deploy.image-pinned")} == {UNKNOWN}


def test_files_without_a_database_are_not_called_well(tmp_path: Path) -> None:
    done = judge(tmp_path, "services:\n  web:\n    image: nginx:1\n")
    assert [(f.check, f.severity) for f in done.findings] == [("deploy.no-database", UNKNOWN)]


def test_a_service_built_here_is_unknown(tmp_path: Path) -> None:
    done = judge(tmp_path, "services:\n  my-db:\n    build: .\n")
    assert [f.check for f in done.findings] == ["deploy.image-unknown"]


def test_two_databases_are_judged_each_by_its_name(tmp_path: Path) -> None:
    text = "x-a: &a {image: postgres}\nservices:\n  one: *a\n  two: *a\n"
    subjects = [f.subject for f in of(judge(tmp_path, text), "deploy.image-pinned")]
    assert [subject.split()[-1] for subject in subjects] == ["one", "two"]


def test_a_fix_of_the_command_hides_what_may_be_a_password(tmp_path: Path) -> None:
    words = "command: [postgres, -c, primary_conninfo=password=canary-7f3, -c, fsync=off]"
    done = judge(tmp_path, SOUND, over(words))
    assert of(done, "deploy.server-flags")
    assert "canary" not in repr(done)
