"""Kubernetes: the workload, its claims and what stands around it."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.kubernetes import (
    claim_templates,
    name_of,
    pod_labels,
    pod_of,
    texts,
)
from console.deploy.model import (
    Container,
    Flaw,
    MountKind,
    Platform,
    Project,
    Rule,
    kind_of,
)
from console.deploy.quantities import kubernetes_quantity, number
from console.deploy.reading import Map, Unsettled, as_items, as_map, as_scalar, inside, scalars
from console.findings import Severity

_KUBERNETES = (Platform.KUBERNETES,)
_SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey")


def workload_of(container: Container) -> Map:
    return container.workload if container.workload is not None else Map(container.place)


def workload_kind(container: Container, project: Project) -> Iterator[Flaw]:
    workload = workload_of(container)
    kind, spec = kind_of(workload), as_map(workload.get("spec"), "spec")
    replicas = as_scalar(spec.get("replicas"), "replicas")
    if replicas is not None and number(replicas) > 1:
        yield Flaw(
            replicas.place,
            Severity.FAILURE,
            "each replica is a primary with data of its own; replication needs an operator",
            "spec:\n  replicas: 1",
            replicas.shown,
        )
    strategy = as_scalar(inside(spec.get("strategy"), "type"), "strategy.type")
    if kind == "Deployment" and (strategy is None or strategy.text != "Recreate"):
        yield Flaw(
            spec.where("strategy") if "strategy" in spec.entries else workload.where("kind"),
            Severity.FAILURE,
            "a rolling update starts a second server on the same data: recreate, or a StatefulSet",
            "spec:\n  strategy:\n    type: Recreate",
            kind,
        )
    elif kind not in ("Deployment", "StatefulSet"):
        yield Flaw(
            workload.where("kind"),
            Severity.WARNING,
            f"a {kind} is not made for a database; use a StatefulSet",
            "kind: StatefulSet",
            kind,
        )


def claims(container: Container, project: Project) -> Iterator[Flaw]:
    mount = container.mount_over(container.data_directory)
    if mount is None or (mount.kind is not MountKind.CLAIM and mount.source != "nfs"):
        return  # deploy.data-volume tells
    if mount.source == "nfs":
        message = "PostgreSQL's locks and syncs are not safe on NFS"
        yield Flaw(mount.place, Severity.FAILURE, message, _CLAIM_FIX, "nfs")
        return
    claim = _claim(container, project, mount.source)
    if claim is None:
        raise Unsettled(mount.place, "the claim is not in these files")
    for mode in scalars(inside(claim.get("spec"), "accessModes"), "accessModes"):
        if mode.text not in ("ReadWriteOnce", "ReadWriteOncePod"):
            yield Flaw(
                mode.place,
                Severity.FAILURE,
                "a second pod can write to the same data",
                _CLAIM_FIX,
                mode.shown,
            )
    yield from _kept(container, project)


def _claim(container: Container, project: Project, name: str) -> Map | None:
    own = claim_templates(workload_of(container))
    apart = [m for m in project.manifests if kind_of(m) == "PersistentVolumeClaim"]
    return next((claim for claim in (*own, *apart) if name_of(claim) == name), None)


def _kept(container: Container, project: Project) -> Iterator[Flaw]:
    policy = as_map(
        inside(workload_of(container).get("spec"), "persistentVolumeClaimRetentionPolicy"),
        "persistentVolumeClaimRetentionPolicy",
    )
    for key in policy.entries:
        value = as_scalar(policy.get(key), key)
        if value is not None and value.text == "Delete":
            yield Flaw(
                value.place,
                Severity.FAILURE,
                "the data is deleted with the workload, or when it is scaled down",
                "spec:\n  persistentVolumeClaimRetentionPolicy:\n    whenDeleted: Retain\n"
                "    whenScaled: Retain",
                key,
            )
    for manifest in project.manifests:
        reclaim = as_scalar(manifest.get("reclaimPolicy"), "reclaimPolicy")
        if kind_of(manifest) == "StorageClass" and (reclaim is None or reclaim.text == "Delete"):
            yield Flaw(
                reclaim.place if reclaim else manifest.where("kind"),
                Severity.WARNING,
                "the disk is deleted with its claim",
                "reclaimPolicy: Retain",
            )


_CLAIM_FIX = "spec:\n  accessModes: [ReadWriteOncePod]"


def volume_root(container: Container, project: Project) -> Iterator[Flaw]:
    data = container.data_directory
    mount = container.mount_over(data)
    if mount is None or mount.kind is not MountKind.CLAIM:
        return
    if mount.target.text.rstrip("/") == data and not mount.sub_path:
        yield Flaw(
            mount.place,
            Severity.WARNING,
            "PGDATA is the volume's root: a lost+found there makes initdb refuse",
            container.mended(container=f'env:\n  - name: PGDATA\n    value: "{data}/pgdata"'),
            data,
        )


def run_as(container: Container, project: Project) -> Iterator[Flaw]:
    pod = as_map(container.pod.get("securityContext") if container.pod else None, "securityContext")
    own = as_map(container.spec.get("securityContext"), "securityContext")
    group = as_scalar(pod.get("fsGroup"), "fsGroup")
    lacking = []
    if _text(own, "runAsNonRoot") != "true" and _text(pod, "runAsNonRoot") != "true":
        lacking.append("runAsNonRoot: true")
    if group is None:
        lacking.append("fsGroup")
    elif number(group) != container.parsed_image.uid:
        lacking.append(f"fsGroup: {container.parsed_image.uid}")
    if _text(pod, "fsGroupChangePolicy") != "OnRootMismatch":
        lacking.append("fsGroupChangePolicy: OnRootMismatch")
    if lacking:
        uid = container.parsed_image.uid
        yield Flaw(
            pod.place if pod.entries else container.place,
            Severity.WARNING,
            f"the pod's securityContext lacks {', '.join(lacking)}",
            container.mended(
                pod=f"securityContext:\n  runAsNonRoot: true\n  runAsUser: {uid}\n"
                f"  runAsGroup: {uid}\n  fsGroup: {uid}\n  fsGroupChangePolicy: OnRootMismatch"
            ),
        )


def _text(owner: Map, key: str) -> str:
    value = as_scalar(owner.get(key), key)
    return value.raw if value else ""


def seccomp_profile(container: Container, project: Project) -> Iterator[Flaw]:
    pod = as_map(container.pod.get("securityContext") if container.pod else None, "securityContext")
    own = as_map(container.spec.get("securityContext"), "securityContext")
    if "seccompProfile" not in pod.entries and "seccompProfile" not in own.entries:
        yield Flaw(
            container.place,
            Severity.WARNING,
            "without a seccompProfile the container may use every system call",
            container.mended(pod="securityContext:\n  seccompProfile:\n    type: RuntimeDefault"),
        )


def exposed(container: Container, project: Project) -> Iterator[Flaw]:
    host = as_scalar(container.pod.get("hostNetwork") if container.pod else None, "hostNetwork")
    if host is not None and host.raw == "true":
        message = "the server shares the node's network"
        yield Flaw(host.place, Severity.FAILURE, message, "Take the line away.", "hostNetwork")
    for port in as_items(container.spec.get("ports"), "ports"):
        given = as_scalar(inside(port, "hostPort"), "hostPort")
        if given is not None:
            yield Flaw(
                given.place,
                Severity.FAILURE,
                "the port is open on the node",
                container.mended(container="ports:\n  - containerPort: 5432"),
                "hostPort",
            )
    for service in services_of(container, project):
        kind = as_scalar(inside(service.get("spec"), "type"), "type")
        if kind is not None and kind.text in ("LoadBalancer", "NodePort"):
            yield Flaw(
                kind.place,
                Severity.FAILURE,
                "the server can be reached from outside the cluster",
                "spec:\n  type: ClusterIP",
                kind.shown,
            )


def services_of(container: Container, project: Project) -> list[Map]:
    labels = pod_labels(workload_of(container))
    found = []
    for manifest in project.manifests:
        if kind_of(manifest) == "Service":
            wanted = texts(inside(manifest.get("spec"), "selector"), "selector")
            if wanted and wanted.items() <= labels.items():
                found.append(manifest)
    return found


def service_name(container: Container, project: Project) -> Iterator[Flaw]:
    workload = workload_of(container)
    if kind_of(workload) != "StatefulSet":
        return
    name = as_scalar(inside(workload.get("spec"), "serviceName"), "serviceName")
    if name is None:
        yield Flaw(
            workload.where("spec"),
            Severity.WARNING,
            "the StatefulSet names no headless service, so its pod has no name to be found by",
            "spec:\n  serviceName: database",
        )
        return
    named = [m for m in project.manifests if kind_of(m) == "Service" and name_of(m) == name.text]
    if not named:
        raise Unsettled(name.place, "the service it names is not in these files")
    if _text(as_map(named[0].get("spec"), "spec"), "clusterIP") != "None":
        yield Flaw(
            named[0].where("spec", "clusterIP"),
            Severity.WARNING,
            "the StatefulSet's service is not headless",
            "spec:\n  clusterIP: None",
        )


def network_policy(container: Container, project: Project) -> Iterator[Flaw]:
    labels = pod_labels(workload_of(container))
    for manifest in project.manifests:
        if kind_of(manifest) == "NetworkPolicy":
            selector = as_map(inside(manifest.get("spec"), "podSelector"), "podSelector")
            wanted = texts(selector.get("matchLabels"), "matchLabels")
            if "matchExpressions" in selector.entries:
                raise Unsettled(selector.place, "a selector with expressions is not evaluated")
            if wanted.items() <= labels.items():
                return
    pairs = "\n".join(f"      {key}: {value}" for key, value in labels.items())
    yield Flaw(
        workload_of(container).where("kind"),
        Severity.WARNING,
        "no NetworkPolicy selects the pod: every pod of the cluster reaches it",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: database\n"
        f"spec:\n  podSelector:\n    matchLabels:\n{pairs or '      app: database'}\n"
        "  policyTypes: [Ingress, Egress]\n  ingress:\n    - from:\n        - podSelector:\n"
        '            matchLabels:\n              database-client: "true"\n      ports:\n'
        "        - port: 5432",
    )


def namespace(container: Container, project: Project) -> Iterator[Flaw]:
    workload = workload_of(container)
    given = as_scalar(inside(workload.get("metadata"), "namespace"), "namespace")
    if given is not None and given.text == "default":
        yield Flaw(
            given.place,
            Severity.WARNING,
            "the database shares the default namespace with everything",
            "metadata:\n  namespace: database",
            "default",
        )
    elif given is None:
        yield Flaw(
            workload.where("metadata"),
            Severity.INFO,
            "no namespace is named: it is whatever kubectl is set to",
            "metadata:\n  namespace: database",
        )


def service_account(container: Container, project: Project) -> Iterator[Flaw]:
    pod = pod_of(workload_of(container))
    mounted = as_scalar(pod.get("automountServiceAccountToken"), "automountServiceAccountToken")
    if mounted is None or mounted.raw != "false":
        yield Flaw(
            mounted.place if mounted else container.place,
            Severity.WARNING,
            "the pod holds a token for the cluster's API, which PostgreSQL never needs",
            container.mended(pod="automountServiceAccountToken: false"),
        )


def secrets_in_manifests(container: Container, project: Project) -> Iterator[Flaw]:
    for manifest in project.manifests:
        kind = kind_of(manifest)
        for part in ("data", "stringData") if kind in ("Secret", "ConfigMap") else ():
            values = as_map(manifest.get(part), part)
            for key in values.entries:
                yield from _secret_flaw(kind, key, values)


def _secret_flaw(kind: str, key: str, values: Map) -> Iterator[Flaw]:
    place = values.where(key)
    if kind == "ConfigMap" and any(word in key.lower() for word in _SECRET_WORDS):
        if not key.lower().endswith("_file"):
            message = f"{key} is in a ConfigMap, which everybody may read"
            yield Flaw(place, Severity.FAILURE, message, "kind: Secret", key)
    elif kind == "Secret":
        yield Flaw(
            place,
            Severity.WARNING,
            f"the secret's {key} stands in a file (base64 hides nothing): make it with kubectl, or"
            " keep it sealed",
            f"# kubectl create secret generic database-password --from-file={key}=FILE",
            key,
        )


def disruption_budget(container: Container, project: Project) -> Iterator[Flaw]:
    labels = pod_labels(workload_of(container))
    for manifest in project.manifests:
        if kind_of(manifest) != "PodDisruptionBudget":
            continue
        spec = as_map(manifest.get("spec"), "spec")
        wanted = texts(inside(spec.get("selector"), "matchLabels"), "matchLabels")
        if not wanted.items() <= labels.items():
            continue
        yield from _budget_flaws(spec)
        return
    yield Flaw(
        workload_of(container).where("kind"),
        Severity.INFO,
        "no PodDisruptionBudget selects the pod",
        _BUDGET_FIX,
    )


_BUDGET_FIX = "spec:\n  maxUnavailable: 1\n  unhealthyPodEvictionPolicy: AlwaysAllow"


def _budget_flaws(spec: Map) -> Iterator[Flaw]:
    for key, blocking in (("maxUnavailable", ("0", "0%")), ("minAvailable", ("1", "100%"))):
        value = as_scalar(spec.get(key), key)
        if value is not None and value.text in blocking:
            yield Flaw(
                value.place,
                Severity.WARNING,
                "the budget never lets the only pod go: no node can be drained",
                _BUDGET_FIX,
                f"{key}: {value.shown}",
            )
    if "unhealthyPodEvictionPolicy" not in spec.entries:
        yield Flaw(
            spec.place,
            Severity.INFO,
            "a pod that is not ready keeps its node from being drained",
            _BUDGET_FIX,
        )


def quality_of_service(container: Container, project: Project) -> Iterator[Flaw]:
    limits = container.limits
    if limits.memory is None:
        return  # deploy.memory-limit tells
    request = limits.memory_request
    if request is not None and kubernetes_quantity(request) != kubernetes_quantity(limits.memory):
        yield Flaw(
            request.place,
            Severity.WARNING,
            "less memory is set aside than may be used: under pressure the server is evicted first",
            container.mended(
                container=f"resources:\n  requests:\n    memory: {limits.memory.shown}"
            ),
            request.shown,
        )


def huge_pages(container: Container, project: Project) -> Iterator[Flaw]:
    value = container.setting("huge_pages")
    mode = value.text.strip("'").lower() if value else "try"
    has_limit = any(
        key.startswith("hugepages-")
        for key in as_map(inside(container.spec.get("resources"), "limits"), "limits").entries
    )
    if mode == "off" or has_limit:
        return
    listed = '["postgres", "-c", "huge_pages=off"]'
    yield Flaw(
        value.place if value else container.place,
        Severity.FAILURE if mode == "on" else Severity.INFO,
        f"the setting huge_pages is {mode} without a hugepages limit: on a node with huge pages the"
        " server dies of SIGBUS",
        container.mended(container=f"args: {listed}"),
        f"huge_pages={mode}",
    )


RULES = tuple(
    Rule(identity, meaning, judge, _KUBERNETES)
    for identity, meaning, judge in (
        ("deploy.workload-kind", "One server on one set of data at a time.", workload_kind),
        ("deploy.claim", "The claim is for one pod and is kept.", claims),
        ("deploy.volume-root", "PGDATA is a directory below the volume's root.", volume_root),
        ("deploy.run-as", "The pod is not root and owns its volume.", run_as),
        ("deploy.seccomp-profile", "The pod has a seccomp profile.", seccomp_profile),
        ("deploy.exposed", "The server is reached from inside the cluster only.", exposed),
        ("deploy.service-name", "The StatefulSet's service is headless.", service_name),
        ("deploy.network-policy", "A NetworkPolicy says who reaches the pod.", network_policy),
        ("deploy.namespace", "The database has a namespace of its own.", namespace),
        ("deploy.service-account", "The pod holds no token for the API.", service_account),
        ("deploy.secret-manifest", "No secret stands in a manifest.", secrets_in_manifests),
        ("deploy.disruption-budget", "A budget that lets nodes be drained.", disruption_budget),
        ("deploy.quality-of-service", "Memory requested is memory limited.", quality_of_service),
        ("deploy.huge-pages", "Huge pages are off or limited.", huge_pages),
    )
)
