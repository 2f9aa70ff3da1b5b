"""Every rule of the audit on Kubernetes manifests: what fires it, and that its fix is YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from deployments import RUNNING, judge, of

from console.deploy.model import Platform, Server
from console.deploy.rules import RULES
from console.deploy.writers import deployment
from console.errors import SettingsError
from console.findings import Severity

FAILURE, UNKNOWN, WARNING, INFO = (
    Severity.FAILURE,
    Severity.UNKNOWN,
    Severity.WARNING,
    Severity.INFO,
)
SOUND = deployment("kubernetes", Server(17, 99, "Debian"))
IMAGE = "postgres:17.99-bookworm"
PROBE = '["pg_isready", "-q", "-h", "127.0.0.1", "-U", "medianest", "-d", "medianest"]'
STARTUP = f"""\
          startupProbe:
            exec:
              command: {PROBE}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 180
"""
POLICY = SOUND[SOUND.index("---\napiVersion: networking") :]
BUDGET = SOUND[SOUND.index("---\napiVersion: policy/v1") : SOUND.index(POLICY)]
SHM = """\
            - name: shm
              mountPath: /dev/shm
"""
SECRET = "---\napiVersion: v1\nkind: {}\nmetadata: {{name: x}}\n{}: {{password: canary-7f3}}\n"
PASSWORD_FILE = """\
            - name: POSTGRES_PASSWORD_FILE
              value: /run/secrets/database/password
"""

# Rule, severity, what of the sound manifests is replaced, and by what.
BROKEN = [
    ("deploy.image-pinned", FAILURE, IMAGE, "postgres"),
    ("deploy.image-supported", FAILURE, IMAGE, "postgres:12-bookworm"),
    ("deploy.image-major", FAILURE, IMAGE, "postgres:16-bookworm"),
    ("deploy.image-distribution", FAILURE, IMAGE, "postgres:17-alpine"),
    (
        "deploy.volume-target",
        FAILURE,
        "mountPath: /var/lib/postgresql/data",
        "mountPath: /var/lib/pgsql",
    ),
    (
        "deploy.data-volume",
        FAILURE,
        "name: database\n              mountPath: /var",
        "name: tmp\n              mountPath: /var",
    ),
    (
        "deploy.init-scripts",
        WARNING,
        SHM,
        SHM + "            - {name: init, mountPath: /docker-entrypoint-initdb.d}\n",
    ),
    (
        "deploy.auth-trust",
        FAILURE,
        PASSWORD_FILE,
        PASSWORD_FILE + "            - {name: POSTGRES_HOST_AUTH_METHOD, value: trust}\n",
    ),
    (
        "deploy.password-plain",
        FAILURE,
        PASSWORD_FILE,
        "            - {name: POSTGRES_PASSWORD, value: canary-7f3}\n",
    ),
    (
        "deploy.password-environment",
        WARNING,
        PASSWORD_FILE,
        "            - {name: POSTGRES_PASSWORD, valueFrom: {secretKeyRef: {name: a, key: b}}}\n",
    ),
    (
        "deploy.password-twice",
        FAILURE,
        PASSWORD_FILE,
        PASSWORD_FILE
        + "            - {name: POSTGRES_PASSWORD, valueFrom: {secretKeyRef: {name: a, key: b}}}\n",
    ),
    ("deploy.password-missing", FAILURE, PASSWORD_FILE, ""),
    (
        "deploy.auth-trust",
        UNKNOWN,
        "          env:\n",
        "          envFrom: [{secretRef: {name: elsewhere}}]\n          env:\n",
    ),
    (
        "deploy.host-access",
        FAILURE,
        "      serviceAccountName: database\n",
        "      serviceAccountName: database\n      hostPID: true\n",
    ),
    (
        "deploy.host-access",
        FAILURE,
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: false\n            privileged: true",
    ),
    ("deploy.capabilities", WARNING, "              drop: [ALL]", "              drop: [NET_RAW]"),
    (
        "deploy.capabilities",
        FAILURE,
        "              drop: [ALL]",
        "              drop: [ALL]\n              add: [SYS_ADMIN]",
    ),
    (
        "deploy.no-new-privileges",
        WARNING,
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: true",
    ),
    ("deploy.user", FAILURE, "runAsUser: 999", "runAsUser: 70"),
    ("deploy.user", WARNING, "        runAsUser: 999\n", ""),
    (
        "deploy.read-only-root",
        WARNING,
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
    ),
    (
        "deploy.read-only-root",
        FAILURE,
        "            - name: run\n              mountPath: /run/postgresql\n",
        "",
    ),
    ("deploy.confined", FAILURE, "type: RuntimeDefault", "type: Unconfined"),
    ("deploy.memory-limit", WARNING, "            limits:\n              memory: 2Gi\n", ""),
    (
        "deploy.memory-limit",
        WARNING,
        "            limits:\n              memory: 2Gi\n",
        "            limits: {memory: 512M}\n",
    ),
    ("deploy.cpu-limit", WARNING, '              cpu: "1"\n', ""),
    ("deploy.shm-size", WARNING, SHM, ""),
    ("deploy.shm-size", WARNING, "sizeLimit: 256Mi", "sizeLimit: 64Mi"),
    ("deploy.pids-limit", INFO, "", ""),
    ("deploy.probes", WARNING, STARTUP, ""),
    ("deploy.probes", WARNING, "failureThreshold: 180", "failureThreshold: 3"),
    ("deploy.probes", WARNING, "          readinessProbe:", "          otherProbe:"),
    ("deploy.probes", WARNING, "          livenessProbe:", "          otherProbe:"),
    (
        "deploy.probes",
        WARNING,
        f"          readinessProbe:\n            exec:\n              command: {PROBE}",
        "          readinessProbe:\n            exec:\n              command: [pg_isready]",
    ),
    (
        "deploy.stop-grace",
        WARNING,
        "terminationGracePeriodSeconds: 120",
        "terminationGracePeriodSeconds: 30",
    ),
    (
        "deploy.server-flags",
        FAILURE,
        "huge_pages=off",
        "huge_pages=off\n            - -c\n            - fsync=off",
    ),
    ("deploy.initdb", WARNING, "--data-checksums ", ""),
    ("deploy.backup-place", INFO, "", ""),
    ("deploy.workload-kind", FAILURE, "  replicas: 1", "  replicas: 2"),
    ("deploy.workload-kind", FAILURE, "kind: StatefulSet", "kind: Deployment"),
    ("deploy.workload-kind", WARNING, "kind: StatefulSet", "kind: DaemonSet"),
    ("deploy.claim", FAILURE, "[ReadWriteOnce]", "[ReadWriteMany]"),
    ("deploy.claim", FAILURE, "whenDeleted: Retain", "whenDeleted: Delete"),
    (
        "deploy.data-volume",
        UNKNOWN,
        "name: database\n              mountPath: /var",
        "name: other\n              mountPath: /var",
    ),
    ("deploy.volume-root", WARNING, "/data/pgdata", "/data"),
    ("deploy.run-as", WARNING, "runAsNonRoot: true", "runAsNonRoot: false"),
    ("deploy.run-as", WARNING, "fsGroup: 999", "fsGroup: 70"),
    (
        "deploy.seccomp-profile",
        WARNING,
        "        seccompProfile:\n          type: RuntimeDefault\n",
        "",
    ),
    ("deploy.exposed", FAILURE, "  clusterIP: None", "  type: LoadBalancer"),
    (
        "deploy.exposed",
        FAILURE,
        "              containerPort: 5432",
        "              containerPort: 5432\n              hostPort: 5432",
    ),
    (
        "deploy.exposed",
        FAILURE,
        "      serviceAccountName: database\n",
        "      serviceAccountName: database\n      hostNetwork: true\n",
    ),
    ("deploy.service-name", WARNING, "  serviceName: database\n", ""),
    ("deploy.service-name", UNKNOWN, "  serviceName: database\n", "  serviceName: other\n"),
    ("deploy.service-name", WARNING, "  clusterIP: None\n", ""),
    ("deploy.network-policy", WARNING, POLICY, ""),
    (
        "deploy.namespace",
        WARNING,
        "  name: database\n  namespace: medianest\nspec:\n  serviceName",
        "  name: database\n  namespace: default\nspec:\n  serviceName",
    ),
    (
        "deploy.namespace",
        INFO,
        "  name: database\n  namespace: medianest\nspec:\n  serviceName",
        "  name: database\nspec:\n  serviceName",
    ),
    ("deploy.service-account", WARNING, "      automountServiceAccountToken: false\n", ""),
    ("deploy.secret-manifest", WARNING, BUDGET, BUDGET + SECRET.format("Secret", "stringData")),
    ("deploy.secret-manifest", FAILURE, BUDGET, BUDGET + SECRET.format("ConfigMap", "data")),
    ("deploy.disruption-budget", INFO, BUDGET, ""),
    ("deploy.disruption-budget", WARNING, "maxUnavailable: 1", "maxUnavailable: 0"),
    ("deploy.disruption-budget", WARNING, "maxUnavailable: 1", "minAvailable: 1"),
    (
        "deploy.quality-of-service",
        WARNING,
        "              memory: 2Gi\n            limits",
        "              memory: 1Gi\n            limits",
    ),
    ("deploy.huge-pages", INFO, "huge_pages=off", "huge_pages=try"),
    ("deploy.huge-pages", FAILURE, "huge_pages=off", "huge_pages=on"),
]


def broken(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new, 1) if old else SOUND


def test_sound_manifests_give_only_what_they_cannot_say(tmp_path: Path) -> None:
    found = judge(tmp_path, SOUND).findings
    assert {f.check for f in found if f.severity is not INFO} == set()
    assert {f.check for f in found} == {"deploy.backup-place", "deploy.pids-limit"}


@pytest.mark.parametrize(("check", "severity", "old", "new"), BROKEN)
def test_a_flaw_is_told_where_it_stands_with_yaml_that_mends_it(
    tmp_path: Path, check: str, severity: Severity, old: str, new: str
) -> None:
    text = broken(old, new)
    done = judge(tmp_path, text)
    found = of(done, check)
    assert severity in [finding.severity for finding in found], done.findings
    for finding in found:
        line = int(finding.subject.partition(".yaml:")[2].split()[0])
        assert 1 <= line <= text.count("\n")
        if not finding.fix.startswith("Take the"):
            yaml.compose(finding.fix)
    assert "canary" not in repr(done)


def test_every_rule_for_kubernetes_has_a_case() -> None:
    wanted = {rule.id for rule in RULES if Platform.KUBERNETES in rule.platforms}
    assert {check for check, _, _, _ in BROKEN} == wanted


def test_manifests_inside_a_list_are_judged(tmp_path: Path) -> None:
    items = [document for document in yaml.safe_load_all(SOUND) if document]
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})
    assert judge(tmp_path, listed).databases == ("database/postgres",)
    assert judge(tmp_path, listed).verdict is INFO


def test_a_template_is_not_guessed_at(tmp_path: Path) -> None:
    done = judge(tmp_path, SOUND.replace("replicas: 1", "replicas: {{ .Values.replicas }}"))
    assert [(f.check, f.severity) for f in done.findings] == [("deploy.template", UNKNOWN)]


def test_the_pods_an_operator_makes_are_unknown(tmp_path: Path) -> None:
    text = "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: db}\n"
    done = judge(tmp_path, text)
    assert [(f.check, f.severity) for f in done.findings] == [("deploy.operator", UNKNOWN)]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: apps/v1\nkind: StatefulSet\nspec: [1]\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: {a: b}}\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: postgres, env: 3}]}\n",
        "apiVersion: v1\nkind: List\nitems: 3\n",
        "a: 1\n",
        "[1, 2]\n",
    ],
)
def test_a_manifest_of_the_wrong_shape_is_told_by_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"1\.yaml:\d+: "):
        judge(tmp_path, text, server=RUNNING)
