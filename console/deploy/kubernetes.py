"""Kubernetes manifests: which are there, and the containers of their pods."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.model import (
    Confinement,
    Container,
    Limits,
    Mount,
    MountKind,
    Origin,
    Platform,
    Variable,
    kind_of,
)
from console.deploy.reading import (
    Map,
    Node,
    Place,
    Scalar,
    as_items,
    as_map,
    as_scalar,
    fault,
    inside,
    scalars,
)

_TEMPLATES = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"),
        ("spec", "template", "spec"),
    ),
}
_MOST_MANIFESTS = 10_000


def is_manifest(node: Node) -> bool:
    return isinstance(node, Map) and "apiVersion" in node.entries and "kind" in node.entries


def manifests(documents: list[Node]) -> tuple[Map, ...]:
    """Every manifest, those inside a List too. Raises SettingsError."""
    found: list[Map] = []
    waiting = list(documents)
    while waiting:
        manifest = as_map(waiting.pop(0), "a manifest")
        if kind_of(manifest).endswith("List"):
            waiting += as_items(manifest.get("items"), "items")
        else:
            found.append(manifest)
        if len(found) + len(waiting) > _MOST_MANIFESTS:
            raise fault(manifest.place, "more than 10,000 manifests")
    return tuple(found)


def name_of(manifest: Map) -> str:
    name = as_scalar(inside(manifest.get("metadata"), "name"), "metadata.name")
    return name.raw if name else ""


def pod_of(manifest: Map) -> Map:
    """The pod's spec; empty for a manifest without one."""
    node: Node | None = manifest
    for key in _TEMPLATES.get(kind_of(manifest), ("",)):
        node = inside(node, key)
    return as_map(node, "the pod's spec")


def pod_labels(manifest: Map) -> dict[str, str]:
    path = _TEMPLATES.get(kind_of(manifest), ("spec",))[:-1]
    node = inside(manifest, *path, "metadata", "labels")
    return texts(node, "labels")


def texts(node: Node | None, name: str) -> dict[str, str]:
    """A mapping of names to texts."""
    found = as_map(node, name)
    return {key: value.raw for key, value in found.entries.items() if isinstance(value, Scalar)}


def containers(found: tuple[Map, ...]) -> tuple[Container, ...]:
    """Every container of every pod. Raises SettingsError for a value of the wrong kind."""
    maps = {name_of(m): m for m in found if kind_of(m) == "ConfigMap"}
    made = []
    for manifest in found:
        if kind_of(manifest) in _TEMPLATES:
            pod = pod_of(manifest)
            made += [
                _container(manifest, pod, as_map(item, "a container"), maps)
                for item in as_items(pod.get("containers"), "containers")
            ]
    return tuple(made)


def _container(manifest: Map, pod: Map, spec: Map, maps: dict[str, Map]) -> Container:
    environment, missing = _environment(spec, maps)
    own = as_scalar(spec.get("name"), "name")
    pod_context = as_map(pod.get("securityContext"), "securityContext")
    mounts = tuple(_mounts(manifest, pod, spec))
    return Container(
        platform=Platform.KUBERNETES,
        name=f"{name_of(manifest)}/{own.raw if own else ''}",
        place=spec.place,
        spec=spec,
        image=as_scalar(spec.get("image"), "image"),
        environment=environment,
        missing_environment=missing,
        entrypoint=next(iter(scalars(spec.get("command"), "command")), None),
        arguments=(
            *scalars(spec.get("command"), "command")[1:],
            *scalars(spec.get("args"), "args"),
        ),
        mounts=mounts,
        limits=_limits(spec),
        confinement=_confinement(pod, pod_context, spec),
        shm=next((_shm(m) for m in mounts if m.target.raw.rstrip("/") == "/dev/shm"), None),
        pod=pod,
        workload=manifest,
    )


def _shm(mount: Mount) -> Scalar:
    return mount.size or Scalar(mount.place, "")


def _environment(spec: Map, maps: dict[str, Map]) -> tuple[dict[str, Variable], tuple[Scalar, ...]]:
    found: dict[str, Variable] = {}
    missing: list[Scalar] = []
    for item in as_items(spec.get("envFrom"), "envFrom"):
        source = as_map(item, "an item of envFrom")
        name = as_scalar(inside(source.get("configMapRef"), "name"), "configMapRef.name")
        secret = as_scalar(inside(source.get("secretRef"), "name"), "secretRef.name")
        if name is not None and name.raw in maps:
            values = as_map(maps[name.raw].get("data"), "data")
            for key, node in values.entries.items():
                value = as_scalar(node, f"data.{key}")
                found[key] = Variable(values.where(key), Origin.LITERAL, value)
        elif name is not None or secret is not None:
            missing.append(name or secret or Scalar(source.place, ""))
    for item in as_items(spec.get("env"), "env"):
        given = as_map(item, "an item of env")
        key_scalar = as_scalar(given.get("name"), "env.name")
        if key_scalar is not None:
            found[key_scalar.raw] = _variable(given, key_scalar.place)
    return found, tuple(missing)


def _variable(given: Map, place: Place) -> Variable:
    source = as_map(given.get("valueFrom"), "valueFrom")
    if "secretKeyRef" in source.entries:
        return Variable(place, Origin.SECRET)
    if source.entries:
        return Variable(place, Origin.ELSEWHERE)
    value = as_scalar(given.get("value"), "env.value") or Scalar(place, "", False)
    return Variable(place, Origin.LITERAL, value)


def _mounts(manifest: Map, pod: Map, spec: Map) -> Iterator[Mount]:
    volumes: dict[str, Map] = {}
    for item in as_items(pod.get("volumes"), "volumes"):
        volume = as_map(item, "an item of volumes")
        name = as_scalar(volume.get("name"), "volumes.name")
        if name is not None:
            volumes[name.raw] = volume
    claims = {name_of(template) for template in claim_templates(manifest)}
    for item in as_items(spec.get("volumeMounts"), "volumeMounts"):
        given = as_map(item, "an item of volumeMounts")
        target = as_scalar(given.get("mountPath"), "mountPath")
        name = as_scalar(given.get("name"), "volumeMounts.name")
        if target is None or name is None:
            continue
        sub_path = as_scalar(given.get("subPath"), "subPath")
        read_only = as_scalar(given.get("readOnly"), "readOnly")
        kind, source, size = _backing(name.raw, volumes, claims)
        yield Mount(
            target.place,
            kind,
            target,
            source,
            read_only is not None and read_only.raw == "true",
            sub_path.raw if sub_path else "",
            size=size,
        )


def claim_templates(manifest: Map) -> list[Map]:
    node = (
        inside(manifest.get("spec"), "volumeClaimTemplates") if "spec" in manifest.entries else None
    )
    return [as_map(item, "volumeClaimTemplates") for item in as_items(node, "volumeClaimTemplates")]


def _backing(
    name: str, volumes: dict[str, Map], claims: set[str]
) -> tuple[MountKind, str, Scalar | None]:
    if name in claims:
        return MountKind.CLAIM, name, None
    volume = volumes.get(name)
    if volume is None:
        return MountKind.UNKNOWN, name, None
    if "persistentVolumeClaim" in volume.entries:
        claim = as_scalar(inside(volume.get("persistentVolumeClaim"), "claimName"), "claimName")
        return MountKind.CLAIM, claim.raw if claim else name, None
    if "emptyDir" in volume.entries:
        empty = as_map(volume.get("emptyDir"), "emptyDir")
        return MountKind.TMPFS, "", as_scalar(empty.get("sizeLimit"), "sizeLimit")
    if "hostPath" in volume.entries:
        path = as_scalar(inside(volume.get("hostPath"), "path"), "hostPath.path")
        return MountKind.BIND, path.raw if path else "", None
    if "nfs" in volume.entries:
        return MountKind.UNKNOWN, "nfs", None
    return MountKind.OTHER, name, None


def _limits(spec: Map) -> Limits:
    resources = spec.get("resources")

    def amount(of: str, part: str) -> Scalar | None:
        return as_scalar(inside(resources, of, part), f"resources.{of}.{part}")

    return Limits(
        amount("limits", "memory"),
        amount("requests", "memory"),
        amount("limits", "cpu"),
        amount("requests", "cpu"),
    )


def _confinement(pod: Map, pod_context: Map, spec: Map) -> Confinement:
    context = as_map(spec.get("securityContext"), "securityContext")
    user = context.get("runAsUser") or pod_context.get("runAsUser")
    escalation = as_scalar(context.get("allowPrivilegeEscalation"), "allowPrivilegeEscalation")
    refused = escalation is not None and escalation.raw == "false"
    opened = []
    for key, what in (
        ("hostPID", "the host's processes"),
        ("hostIPC", "the host's shared memory"),
        ("hostUsers", "the host's user namespace"),
    ):
        value = as_scalar(pod.get(key), key)
        if value is not None and key != "hostUsers":
            opened.append((value, what))
    privileged = as_scalar(context.get("privileged"), "privileged")
    if privileged is not None:
        opened.append((privileged, "privileged"))
    return Confinement(
        read_only=as_scalar(context.get("readOnlyRootFilesystem"), "readOnlyRootFilesystem"),
        cap_drop=scalars(inside(context.get("capabilities"), "drop"), "capabilities.drop"),
        cap_add=scalars(inside(context.get("capabilities"), "add"), "capabilities.add"),
        no_new_privileges=escalation.part("true") if escalation is not None and refused else None,
        user=as_scalar(user, "runAsUser"),
        opened=tuple(opened),
        unconfined=tuple(_unconfined(pod_context, context)),
    )


def _unconfined(pod_context: Map, context: Map) -> Iterator[tuple[Scalar, str]]:
    for name in ("seccompProfile", "appArmorProfile"):
        for owner in (context, pod_context):
            kind = as_scalar(inside(owner.get(name), "type"), f"{name}.type")
            if kind is not None and kind.raw == "Unconfined":
                yield kind, "seccomp" if name == "seccompProfile" else "apparmor"
