"""What the container may do to its host, and as whom it runs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from console.deploy.model import Container, Flaw, MountKind, Platform, Project, Rule
from console.deploy.quantities import truth
from console.deploy.reading import Place, Scalar, Unsettled
from console.findings import Severity

_NEEDED_AS_ROOT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
"""The official entrypoint, started as root, gives the directories away and becomes postgres."""

_FALSE = frozenset({"false", "no", "n", "off", "0"})


def host_access(container: Container, project: Project) -> Iterator[Flaw]:
    for value, what in container.confinement.opened:
        if value.text.strip().lower() not in _FALSE:
            yield Flaw(
                value.place,
                Severity.FAILURE,
                f"the container is given {what}"
                if what != "privileged"
                else "the container is privileged: it is root on the host",
                "Take the line away.",
                what,
            )
    for mount in container.mounts:
        if mount.source.endswith(("docker.sock", "containerd.sock", "podman.sock")):
            yield Flaw(
                mount.place,
                Severity.FAILURE,
                "the container holds the engine's socket, and with it the whole host",
                "Take the mount away.",
                mount.source,
            )


def capabilities(container: Container, project: Project) -> Iterator[Flaw]:
    confinement = container.confinement
    dropped = {_name(capability) for capability in confinement.cap_drop}
    added = {_name(capability): capability for capability in confinement.cap_add}
    needed = () if _has_user(container) else _NEEDED_AS_ROOT
    place = confinement.cap_drop[0].place if confinement.cap_drop else container.place
    fix = _capabilities_fix(container, needed)
    if "ALL" not in dropped:
        yield Flaw(
            place,
            Severity.WARNING,
            "the container keeps capabilities that PostgreSQL does not need",
            fix,
        )
    surplus = sorted(set(added) - set(needed))
    if surplus:
        yield Flaw(
            added[surplus[0]].place,
            Severity.FAILURE,
            f"capabilities are added that PostgreSQL does not need: {', '.join(surplus)}",
            fix,
            ", ".join(surplus),
        )
    lacking = [name for name in needed if name not in added]
    if "ALL" in dropped and lacking and "ALL" not in added and _is_official(container):
        yield Flaw(
            place,
            Severity.FAILURE,
            f"started as root the image needs {', '.join(lacking)}, or a user of its own",
            fix,
        )


def _capabilities_fix(container: Container, needed: tuple[str, ...]) -> str:
    add = f"\ncap_add: [{', '.join(needed)}]" if needed else ""
    inner = f"\n    add: [{', '.join(needed)}]" if needed else ""
    return container.mended(
        compose=f"cap_drop: [ALL]{add}",
        container=f"securityContext:\n  capabilities:\n    drop: [ALL]{inner}",
    )


def _name(capability: Scalar) -> str:
    return capability.text.strip().upper().removeprefix("CAP_")


def _has_user(container: Container) -> bool:
    user = container.confinement.user
    return user is not None and user.text.partition(":")[0].strip() not in ("0", "root")


def _is_official(container: Container) -> bool:
    family = container.parsed_image.family
    return family is not None and family.is_official


def no_new_privileges(container: Container, project: Project) -> Iterator[Flaw]:
    option = container.confinement.no_new_privileges
    if option is None or not truth(option):
        yield Flaw(
            option.place if option else container.place,
            Severity.WARNING,
            "a program in the container can gain rights that its parent has not",
            container.mended(
                compose="security_opt:\n  - no-new-privileges:true",
                container="securityContext:\n  allowPrivilegeEscalation: false",
            ),
        )


def user(container: Container, project: Project) -> Iterator[Flaw]:
    own = container.confinement.user
    fix = _user_fix(container)
    if own is None or own.text.partition(":")[0].strip() in ("", "0", "root"):
        yield _root_start(container, own.place if own else container.place, fix)
        return
    uid = container.parsed_image.uid
    name, _, group = own.text.partition(":")
    if name == "postgres":
        return
    if not name.isdecimal() or int(name[:9]) != uid or (group and group not in _groups(uid)):
        yield Flaw(
            own.place,
            Severity.FAILURE,
            f"the image's account is {uid}: another one cannot read the data",
            fix,
            own.shown,
        )


def _groups(uid: int) -> tuple[str, ...]:
    return (str(uid), "postgres", "0") if uid == 1001 else (str(uid), "postgres")


def _root_start(container: Container, place: Place, fix: str) -> Flaw:
    dropped = {_name(capability) for capability in container.confinement.cap_drop}
    if container.platform is Platform.COMPOSE and "ALL" in dropped:
        message = "the image starts as root, with few capabilities, and becomes postgres itself"
        return Flaw(place, Severity.INFO, message, fix)
    message = "the container starts as root, with more rights than PostgreSQL needs"
    return Flaw(place, Severity.WARNING, message, fix)


def _user_fix(container: Container) -> str:
    try:
        uid = container.parsed_image.uid
    except Unsettled:
        return ""
    return container.mended(
        compose=f'user: "{uid}:{uid}"',
        pod=f"securityContext:\n  runAsUser: {uid}\n  runAsGroup: {uid}\n  fsGroup: {uid}",
    )


def read_only_root(container: Container, project: Project) -> Iterator[Flaw]:
    switch = container.confinement.read_only
    fix = _read_only_fix(container)
    wrong = [m for m in container.mounts if posixpath.normpath(m.target.text) == "/var/run"]
    if wrong:
        yield Flaw(
            wrong[0].place,
            Severity.FAILURE,
            "/var/run is a link to /run in the image: mount /run/postgresql instead",
            fix,
            "/var/run",
        )
    if switch is None or not truth(switch):
        yield Flaw(
            switch.place if switch else container.place,
            Severity.WARNING,
            "the container's own files can be changed while it runs",
            fix,
        )
        return
    if not _is_official(container):
        raise Unsettled(switch.place, "what this image has to write to is not known")
    lacking = [path for path in ("/tmp", "/run/postgresql") if not _is_writable(container, path)]
    if lacking and not wrong:
        yield Flaw(
            switch.place,
            Severity.FAILURE,
            f"with a read-only root PostgreSQL cannot write to {' and '.join(lacking)}",
            fix,
        )


def _is_writable(container: Container, path: str) -> bool:
    names = (path, f"/var{path}") if path.startswith("/run") else (path,)
    over = [container.mount_over(name) for name in names]
    return any(mount is not None and not mount.is_read_only for mount in over)


def _read_only_fix(container: Container) -> str:
    if container.platform is Platform.COMPOSE:
        return container.mended(compose="read_only: true\ntmpfs:\n  - /tmp\n  - /run/postgresql")
    own = container.name.rpartition("/")[2]
    return container.mended(
        pod=f"containers:\n  - name: {own}\n    securityContext:\n"
        "      readOnlyRootFilesystem: true\n    volumeMounts:\n"
        "      - {name: tmp, mountPath: /tmp}\n      - {name: run, mountPath: /run/postgresql}\n"
        "volumes:\n  - name: tmp\n    emptyDir: {sizeLimit: 64Mi}\n"
        "  - name: run\n    emptyDir: {medium: Memory, sizeLimit: 1Mi}"
    )


def tmpfs_owner(container: Container, project: Project) -> Iterator[Flaw]:
    """A tmpfs belongs to root: with a user of its own the container needs a mode that lets it."""
    if not _has_user(container):
        return
    for mount in container.mounts:
        mode = mount.options.get("mode", "").lstrip("0o") or "1777"
        is_needed = mount.kind is MountKind.TMPFS and mount.target.text in ("/tmp", _RUN)
        is_open = mode[-1:] in ("7", "3", "2", "6")
        if is_needed and "uid" not in mount.options and not is_open:
            yield Flaw(
                mount.place,
                Severity.FAILURE,
                "the temporary directory belongs to root and its mode keeps PostgreSQL out",
                container.mended(compose=f"tmpfs:\n  - {mount.target.text}:mode=1777"),
                f"mode={mode}",
            )


_RUN = "/run/postgresql"


def confined(container: Container, project: Project) -> Iterator[Flaw]:
    for value, what in container.confinement.unconfined:
        yield Flaw(
            value.place,
            Severity.FAILURE,
            f"{what} is switched off: the container may use every system call"
            if what == "seccomp"
            else f"{what} is switched off for the container",
            "Take the line away."
            if container.platform is Platform.COMPOSE
            else container.mended(
                pod="securityContext:\n  seccompProfile:\n    type: RuntimeDefault"
            ),
            f"{what} unconfined",
        )


RULES = (
    Rule("deploy.host-access", "The container has no opening to its host.", host_access),
    Rule(
        "deploy.capabilities",
        "All capabilities are dropped but those the image needs.",
        capabilities,
    ),
    Rule(
        "deploy.no-new-privileges",
        "No program in the container can gain rights.",
        no_new_privileges,
    ),
    Rule("deploy.user", "The container runs as the account that owns the data.", user),
    Rule(
        "deploy.read-only-root",
        "The root is read-only, with the few places PostgreSQL writes.",
        read_only_root,
    ),
    Rule(
        "deploy.tmpfs-mode",
        "Temporary directories can be written by the container's user.",
        tmpfs_owner,
        (Platform.COMPOSE,),
    ),
    Rule("deploy.confined", "Neither seccomp nor AppArmor is switched off.", confined),
)
