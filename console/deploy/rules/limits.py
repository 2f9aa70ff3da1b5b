"""How much of the host the container may take."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.model import Container, Flaw, MountKind, Platform, Project, Rule
from console.deploy.quantities import (
    docker_bytes,
    kubernetes_bytes,
    kubernetes_quantity,
    number,
    postgres_bytes,
)
from console.deploy.reading import Scalar, Unsettled, as_scalar, inside
from console.findings import Severity

_MIB = 1 << 20
_SHM = 256 * _MIB
_FEWEST_FILES = 4096


def memory(container: Container, project: Project) -> Iterator[Flaw]:
    limit = container.limits.memory
    if limit is None or (container.platform is Platform.COMPOSE and docker_bytes(limit) == 0):
        yield Flaw(
            limit.place if limit else container.place,
            Severity.WARNING,
            "the container may take all of the host's memory",
            _memory_fix(container, 2048),
        )
        return
    size = _bytes(container, limit)
    need = _memory_need(container)
    if size < need:
        yield Flaw(
            limit.place,
            Severity.WARNING,
            f"{size // _MIB} MiB is less than shared_buffers and one work_mem a connection"
            f" ({need // _MIB} MiB): when it is used up the kernel ends the server",
            _memory_fix(container, -(-need // _MIB)),
            limit.shown,
        )


def _memory_need(container: Container) -> int:
    """shared_buffers + max_connections * work_mem, in bytes; PostgreSQL's defaults where unset."""
    shared, work = container.setting("shared_buffers"), container.setting("work_mem")
    connections = container.setting("max_connections")
    return int(
        (postgres_bytes(shared, "8kB") if shared else 128 * _MIB)
        + (number(connections) if connections else 100)
        * (postgres_bytes(work, "kB") if work else 4 * _MIB)
    )


def _memory_fix(container: Container, mebibytes: int) -> str:
    return container.mended(
        compose=f"mem_limit: {mebibytes}m",
        container=f"resources:\n  limits:\n    memory: {mebibytes}Mi\n"
        f"  requests:\n    memory: {mebibytes}Mi",
    )


def _bytes(container: Container, size: Scalar) -> int:
    if container.platform is Platform.COMPOSE:
        return docker_bytes(size)
    return kubernetes_bytes(size)


def cpu(container: Container, project: Project) -> Iterator[Flaw]:
    limits = container.limits
    if container.platform is Platform.COMPOSE:
        given = limits.cpu
        is_limited = given is not None and number(given) > 0
    else:
        given = limits.cpu_request or limits.cpu
        is_limited = given is not None and kubernetes_quantity(given) > 0
    if not is_limited:
        yield Flaw(
            given.place if given else container.place,
            Severity.WARNING,
            "the container may take every processor of the host"
            if container.platform is Platform.COMPOSE
            else "no processor time is set aside for the server",
            container.mended(
                compose='cpus: "2"', container='resources:\n  requests:\n    cpu: "2"'
            ),
        )


def shared_memory(container: Container, project: Project) -> Iterator[Flaw]:
    if _runs_no_parallel_workers(container):
        return
    size = container.shm
    mounted = [m for m in container.mounts if m.target.text.rstrip("/") == "/dev/shm"]
    if size is None and mounted:
        size = mounted[0].size or Scalar(
            mounted[0].place, mounted[0].options.get("size", ""), is_plain=False
        )
    if size is not None and not size.raw and mounted and mounted[0].kind is MountKind.TMPFS:
        return  # a mount without a size of its own may take half of the memory
    if size is None or _bytes(container, size) < _SHM:
        yield Flaw(
            size.place if size else container.place,
            Severity.WARNING,
            "shared memory is smaller than 256 MB (64 MB where nothing is said): parallel queries"
            " fail with 'could not resize shared memory segment'",
            _shm_fix(container),
            size.shown if size else "",
        )


def _runs_no_parallel_workers(container: Container) -> bool:
    names = ("max_parallel_workers", "max_parallel_workers_per_gather")
    try:
        values = [container.setting(name) for name in names]
    except Unsettled:
        return False
    return any(value is not None and number(value) == 0 for value in values)


def _shm_fix(container: Container) -> str:
    if container.platform is Platform.COMPOSE:
        return container.mended(compose="shm_size: 256m")
    own = container.name.rpartition("/")[2]
    return container.mended(
        pod=f"containers:\n  - name: {own}\n    volumeMounts:\n"
        "      - {name: shm, mountPath: /dev/shm}\nvolumes:\n  - name: shm\n"
        "    emptyDir: {medium: Memory, sizeLimit: 256Mi}"
    )


def processes(container: Container, project: Project) -> Iterator[Flaw]:
    if container.platform is Platform.KUBERNETES:
        yield Flaw(
            container.place,
            Severity.INFO,
            "how many processes a pod may have is the kubelet's setting (podPidsLimit), and not"
            " in these files",
        )
        return
    limit = container.limits.pids
    if limit is None or number(limit) <= 0:
        yield Flaw(
            limit.place if limit else container.place,
            Severity.WARNING,
            "the container may start processes until the host has none left",
            container.mended(compose="pids_limit: 512"),
        )


def open_files(container: Container, project: Project) -> Iterator[Flaw]:
    node = inside(container.spec.get("ulimits"), "nofile")
    limit = node if isinstance(node, Scalar) else as_scalar(inside(node, "soft"), "nofile.soft")
    if limit is not None and not limit.is_null and 0 <= number(limit) < _FEWEST_FILES:
        yield Flaw(
            limit.place,
            Severity.WARNING,
            f"fewer than {_FEWEST_FILES} open files are too few for many tables and connections",
            container.mended(compose="ulimits:\n  nofile:\n    soft: 65536\n    hard: 65536"),
            limit.shown,
        )


RULES = (
    Rule("deploy.memory-limit", "Memory is limited, and enough for the server's settings.", memory),
    Rule("deploy.cpu-limit", "Processor time is limited or set aside.", cpu),
    Rule("deploy.shm-size", "Shared memory is enough for parallel queries.", shared_memory),
    Rule("deploy.pids-limit", "The number of processes is limited.", processes),
    Rule("deploy.open-files", "Enough files may be open.", open_files, (Platform.COMPOSE,)),
)
