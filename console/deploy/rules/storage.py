"""Where the data, the first scripts and the backups lie."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from console.deploy.model import (
    Container,
    Flaw,
    Mount,
    MountKind,
    Platform,
    Project,
    Rule,
)
from console.deploy.reading import Unsettled
from console.findings import Severity

_DATA_PLACES = ("/var/lib/postgresql", "/bitnami/postgresql", "/home/postgres", "/var/lib/pgsql")
_INIT = "/docker-entrypoint-initdb.d"


def volume_target(container: Container, project: Project) -> Iterator[Flaw]:
    wrong = _misplaced(container)
    if wrong is None:
        return
    right = container.parsed_image.volume_target
    source = wrong.source or "NAME"
    if right == "/var/lib/postgresql":
        why = "since 18 the image keeps its data below /var/lib/postgresql, and refuses to start"
    else:
        why = "the data would lie in a volume without a name and be lost with the container"
    yield Flaw(
        wrong.place,
        Severity.FAILURE,
        f"the volume is mounted at {wrong.target.shown}, not {right}: {why}",
        container.mended(
            compose=f"volumes:\n  - {source}:{right}",
            container=f"volumeMounts:\n  - name: {source}\n    mountPath: {right}",
        ),
        wrong.target.shown,
    )


def _misplaced(container: Container) -> Mount | None:
    """A lasting mount meant for the data that the data does not lie in. Raises Unsettled."""
    data = container.data_directory
    lasting = (MountKind.VOLUME, MountKind.BIND, MountKind.CLAIM, MountKind.UNKNOWN)
    meant = [
        mount
        for mount in container.mounts
        if mount.kind in lasting and mount.target.text.rstrip("/").startswith(_DATA_PLACES)
    ]
    over = _data_mount(container)
    image = container.parsed_image
    if image.family is not None and image.family.is_official and image.major >= 18:
        # The entrypoint stops when the old directory is a mount, whatever else is mounted.
        for mount in meant:
            if posixpath.normpath(mount.target.text) == "/var/lib/postgresql/data" and not (
                mount.holds(data)
            ):
                return mount
    return None if over is not None or not meant else meant[0]


def _data_mount(container: Container) -> Mount | None:
    """The mount that holds the data; the image's own volume hides what is mounted above it."""
    data = container.data_directory
    mount = container.mount_over(data)
    image = container.parsed_image
    if mount is None or image.family is None or not image.family.is_official:
        return mount
    hidden = image.volume_target
    target = posixpath.normpath(mount.target.text)
    is_inside = data == hidden or data.startswith(hidden + "/")
    is_above = hidden != target and hidden.startswith(target.rstrip("/") + "/")
    return None if is_inside and is_above else mount


def data_volume(container: Container, project: Project) -> Iterator[Flaw]:
    if _misplaced(container) is not None:
        return
    mount = _data_mount(container)
    fix = _volume_fix(container)
    if mount is None:
        yield Flaw(
            container.place,
            Severity.FAILURE,
            "no named volume holds the data: it is lost with the container",
            fix,
        )
    elif mount.kind is MountKind.UNKNOWN and mount.source != "nfs":
        raise Unsettled(mount.place, "what is mounted for the data is not in these files")
    elif mount.kind in (MountKind.TMPFS, MountKind.ANONYMOUS, MountKind.OTHER):
        what = "memory or a temporary directory" if mount.kind is MountKind.TMPFS else "no volume"
        yield Flaw(
            mount.place,
            Severity.FAILURE,
            f"the data lies in {what} that goes with the container",
            fix,
            mount.kind.value,
        )
    elif mount.is_read_only:
        yield Flaw(mount.place, Severity.FAILURE, "the data's volume is read-only", fix)
    elif mount.kind is MountKind.BIND and container.platform is Platform.KUBERNETES:
        yield Flaw(
            mount.place,
            Severity.WARNING,
            "the data lies on one node's disk: on another node the pod starts empty",
            fix,
            mount.source,
        )


def _volume_fix(container: Container) -> str:
    try:
        target = container.parsed_image.volume_target
    except Unsettled:
        target = "/var/lib/postgresql/data"
    if container.platform is Platform.COMPOSE:
        mended = container.mended(compose=f"volumes:\n  - database:{target}")
        return f"{mended}\nvolumes:\n  database:"
    return (
        "spec:\n  volumeClaimTemplates:\n    - metadata:\n        name: database\n      spec:\n"
        "        accessModes: [ReadWriteOncePod]\n        resources:\n          requests:\n"
        "            storage: 20Gi\n  template:\n    spec:\n      containers:\n"
        f"        - name: {container.name.rpartition('/')[2]}\n          volumeMounts:\n"
        f"            - name: database\n              mountPath: {target}"
    )


def init_scripts(container: Container, project: Project) -> Iterator[Flaw]:
    for mount in container.mounts:
        if mount.target.text.rstrip("/").startswith(_INIT) and not mount.is_read_only:
            if mount.kind is MountKind.OTHER:
                continue
            yield Flaw(
                mount.place,
                Severity.WARNING,
                "the first scripts can be written from the container; they run only once, on an"
                " empty data directory",
                container.mended(
                    compose=f"volumes:\n  - {mount.source or './init'}:{_INIT}:ro",
                    container=f"volumeMounts:\n  - name: {mount.source or 'init'}\n"
                    f"    mountPath: {_INIT}\n    readOnly: true",
                ),
            )


def backup_place(container: Container, project: Project) -> Iterator[Flaw]:
    backups = [other for other in project.containers if _makes_backups(other)]
    if not backups:
        yield Flaw(
            container.place,
            Severity.INFO,
            "nothing in these files takes backups; if the console or the host does, all is well",
        )
        return
    data = _lasting_data(container)
    for backup in backups:
        for mount in backup.mounts:
            is_target = not mount.is_read_only and mount.kind is not MountKind.TMPFS
            if data is not None and is_target and (mount.kind, mount.source) == data:
                yield Flaw(
                    mount.place,
                    Severity.FAILURE,
                    f"the service {backup.name} keeps backups on the database's own volume:"
                    " both are lost together",
                    backup.mended(
                        compose="volumes:\n  - backups:/backups",
                        container="volumeMounts:\n  - name: backups\n    mountPath: /backups",
                    ),
                    mount.source,
                )
            if mount.source.endswith("docker.sock"):
                yield Flaw(
                    mount.place,
                    Severity.FAILURE,
                    f"the service {backup.name} holds docker's socket, and with it the whole host",
                    backup.mended(compose="volumes:\n  - backups:/backups"),
                    mount.source,
                )


def _lasting_data(container: Container) -> tuple[MountKind, str] | None:
    mount = _data_mount(container)
    return (mount.kind, mount.source) if mount is not None and mount.source else None


def _makes_backups(container: Container) -> bool:
    words = [container.name, *(word.raw for word in container.arguments)]
    words += [container.image.raw] if container.image else []
    words += [container.entrypoint.raw] if container.entrypoint else []
    return any(mark in word for word in words for mark in ("backup", "pg_dump", "pgbackrest"))


RULES = (
    Rule(
        "deploy.volume-target",
        "The volume is mounted where this major keeps its data.",
        volume_target,
    ),
    Rule(
        "deploy.data-volume", "The data lies in a volume that outlives the container.", data_volume
    ),
    Rule("deploy.init-scripts", "Scripts of the first start are mounted read-only.", init_scripts),
    Rule("deploy.backup-place", "Backups lie on another volume than the data.", backup_place),
)
