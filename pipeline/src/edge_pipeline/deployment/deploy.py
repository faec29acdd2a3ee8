"""Deploy a sealed model to hosts: copy it, check it there, and switch to it.

The board lists the parts that it lacks, by digest, and gets those.  It then loads and checks the
model, and switches to it by one rename.  If a step before the rename fails, the old version stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_runtime.bundle.bundle_file import open_bundle

from edge_pipeline.deployment.board_output import parse_bench, parse_facts, values_of
from edge_pipeline.deployment.inventory import Destination, destinations_of, read_inventory
from edge_pipeline.errors import DeployError, EdgePipelineError
from edge_pipeline.packaging.kit.archive import SUMS, KitContents, read_kit
from edge_pipeline.packaging.kit.make_kit import board_name
from edge_pipeline.packaging.kit.targets import OLDEST_PYTHON

__all__ = ["DeployResult", "deploy", "roll_back"]

JOBS = 8
"""Default number of hosts that are served at the same time."""

OUTCOMES = frozenset({"deployed", "unchanged", "rolled back"})
"""Outcomes that board.sh reports; a host without one has failed."""

Watch = Callable[[str, str], None]
"""Progress listener: called with a host's name and the step that begins there."""


@dataclass(frozen=True)
class DeployResult:
    """Result of a deployment or rollback on one host.

    Attributes
    ----------
    host
        Name in the inventory, or address.
    outcome
        ``deployed``, ``unchanged``, ``rolled back`` or ``failed``.
    error
        Reason of the failure and remedy; empty otherwise.
    current, previous
        Ids of the current release and of the one that a rollback returns to; empty if unknown.
    sent_bytes
        Bytes that were copied to the host.
    board
        Model name of the board, or its machine.
    trial
        What a process of its own tried there before the switch; empty if nothing is known.
    bench
        Output of ``edge-runtime bench --json`` there; empty if it has none.
    """

    host: str
    outcome: str
    error: str = ""
    current: str = ""
    previous: str = ""
    sent_bytes: int = 0
    board: str = ""
    trial: str = ""
    bench: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Return whether the host did not fail."""
        return self.outcome != "failed"

    @property
    def broken_limits(self) -> list[str]:
        """Return the limits of the model that the board exceeds or could not measure."""
        limits = self.bench.get("limits", {})
        return sorted(name for name, limit in limits.items() if limit["kept"] is not True)

    def to_json(self) -> dict[str, Any]:
        """Return a dict that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True)
class _Job:
    """The model to deploy, the same for every host."""

    name: str
    model: bytes
    sha256: str
    watch: Watch


def deploy(
    path: str | os.PathLike[str],
    hosts: Sequence[str] = (),
    *,
    inventory: str | os.PathLike[str] | None = None,
    install: str | os.PathLike[str] | None = None,
    folder: str | None = None,
    name: str | None = None,
    jobs: int = JOBS,
    watch: Watch | None = None,
) -> list[DeployResult]:
    """Copy a sealed model to hosts, check it there, and switch to it.

    Parameters
    ----------
    path
        The sealed file.
    hosts, inventory
        Addresses that ``ssh`` accepts, or a file that names them.
    install
        Kit that installs the runtime where it is missing.
    folder
        Folder of the models on the hosts; their default when None.
    name
        Name of the model there; its own name when None.
    jobs
        Number of hosts that are served at the same time.
    watch
        Called with a host and the step that begins there.

    Returns
    -------
    list
        One result for each host, in their order.  A host that fails stops no other.

    Raises
    ------
    DeployError
        An address is not a host, or the inventory is not valid.
    KitError, BundleError
        The kit or the sealed file cannot be read.
    """
    manifest = open_bundle(os.fspath(path)).manifest
    model = Path(path).read_bytes()
    destinations = _destinations(hosts, inventory, folder)
    kits = {
        kit: read_kit(kit)
        for kit in {
            Path(install) if install else destination.kit for destination in destinations.values()
        }
        if kit is not None
    }
    job = _Job(
        board_name(name or manifest.name),
        model,
        hashlib.sha256(model).hexdigest(),
        watch or _unwatched,
    )

    def deploy_to(host: str, destination: Destination) -> DeployResult:
        kit = Path(install) if install else destination.kit
        return _deploy(host, destination, job, None if kit is None else kits[kit])

    return _run_on_all(destinations, deploy_to, jobs)


def roll_back(
    model: str | os.PathLike[str],
    hosts: Sequence[str] = (),
    *,
    inventory: str | os.PathLike[str] | None = None,
    folder: str | None = None,
    jobs: int = JOBS,
    watch: Watch | None = None,
) -> list[DeployResult]:
    """Switch hosts back to the previous version; a second call switches to the newer one again.

    Parameters
    ----------
    model
        Name of the model there, or its sealed file.
    hosts, inventory, folder, jobs, watch
        As for :func:`deploy`.

    Raises
    ------
    DeployError
        An address is not a host, or the inventory is not valid.
    KitError, BundleError
        The name is not valid on a board, or the file cannot be read.
    """
    name = os.fspath(model)
    if os.path.isfile(name) or os.sep in name:
        name = open_bundle(name).manifest.name
    name = board_name(name)

    def roll_back_on(host: str, destination: Destination) -> DeployResult:
        (watch or _unwatched)(host, "switching back")
        arguments = ["rollback", "--machine", "--name", name, *_folder(destination)]
        return _result_from(host, parse_facts(destination.host.run(_script(), arguments)))

    return _run_on_all(_destinations(hosts, inventory, folder), roll_back_on, jobs)


def _destinations(
    hosts: Sequence[str], inventory: str | os.PathLike[str] | None, folder: str | None
) -> dict[str, Destination]:
    destinations = destinations_of(hosts, folder=folder)
    if inventory is not None:
        listed = read_inventory(inventory)
        # With an inventory, hosts are names in it.
        unknown = [host for host in hosts if host not in listed]
        if unknown:
            raise DeployError(
                f"{os.fspath(inventory)} has no host {unknown[0]!r}; it has {', '.join(listed)}"
            )
        destinations = {host: listed[host] for host in hosts or listed}
        if folder:
            destinations = {
                h: destination.model_copy(update={"folder": folder})
                for h, destination in destinations.items()
            }
    if not destinations:
        raise DeployError("no host was given; expected user@host, or --inventory FILE")
    return destinations


def _run_on_all(
    destinations: Mapping[str, Destination],
    action: Callable[[str, Destination], DeployResult],
    jobs: int,
) -> list[DeployResult]:
    def run_on(item: tuple[str, Destination]) -> DeployResult:
        host, destination = item
        try:
            return action(host, destination)
        except DeployError as error:
            return DeployResult(host, "failed", str(error).removeprefix(f"{destination.ssh}: "))
        except (EdgePipelineError, OSError) as error:
            return DeployResult(host, "failed", str(error))

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return list(pool.map(run_on, destinations.items()))


def _deploy(
    host: str, destination: Destination, job: _Job, kit: KitContents | None
) -> DeployResult:
    parts = {job.sha256: job.model}
    kit_parts = {} if kit is None else {_digest(raw): raw for raw in kit.parts.values()}
    job.watch(host, "probing the board")
    output = _probe(destination, job, kit, kit_parts)
    facts = parse_facts(output)
    installed = values_of(output, "installed")
    _check_board(destination, facts, kit)
    installs = kit is not None and kit.metadata["runtime_id"] not in installed
    if kit is not None and installs:
        _check_python(destination, kit, values_of(output, "python"))
    if installs:
        parts |= kit_parts
    missing = values_of(output, "missing")
    missing_parts = {
        digest: parts[digest]
        for digest in sorted(parts.keys() & missing, key=lambda d: len(parts[d]))
    }
    size = sum(map(len, missing_parts.values()))
    need_kb = kit.need_kb if kit is not None and installs else 0
    _check_disk(destination, facts, size + len(job.model) + 1024 * need_kb)
    if missing_parts:
        job.watch(host, f"copying {size / 1e6:.1f} MB")
        destination.host.send(
            missing_parts, f"{facts['folder']}/.parts/.arriving-{secrets.token_hex(8)}"
        )
    if kit is not None and installs:
        job.watch(host, "installing the runtime")
        sums = _digest(kit.parts[SUMS])
        destination.host.run(_script(), ["assemble", "--sha256", sums, *_folder(destination)])
    job.watch(host, "checking the model")
    arguments = ["activate", "--machine", "--name", job.name, "--sha256", job.sha256]
    if kit is not None:
        arguments += ["--runtime", kit.metadata["runtime_id"]]
    result = parse_facts(destination.host.run(_script(), [*arguments, *_folder(destination)]))
    return replace(_result_from(host, result), sent_bytes=size, board=_board(facts))


def _probe(
    destination: Destination, job: _Job, kit: KitContents | None, kit_parts: Mapping[str, bytes]
) -> str:
    """Ask the board for its facts, and which of the parts it lacks."""
    digests = " ".join([job.sha256, *sorted(kit_parts.keys() - {job.sha256})])
    arguments = ["probe", "--machine", "--name", job.name, "--parts", digests]
    if kit is not None:
        arguments += ["--runtime", kit.metadata["runtime_id"]]
    return destination.host.run(_script(), [*arguments, *_folder(destination)])


def _check_board(
    destination: Destination, facts: Mapping[str, str], kit: KitContents | None
) -> None:
    """Refuse a board without a runtime, or another machine than the kit's, before copying."""
    if not facts.get("folder"):
        raise DeployError(
            "it does not report the folder of its models; another program may answer instead of "
            f"the shell: look at the output of `ssh {destination.ssh} true`",
            host=destination.ssh,
        )
    machine = facts.get("machine", "unknown")
    if kit is None:
        if not facts.get("runtime"):
            raise DeployError(
                f"no runtime is installed in {facts['folder']}; make a kit for "
                f"it (it is {machine}): edge-pipeline kit, and deploy with --install KIT",
                host=destination.ssh,
            )
        return
    if machine != kit.metadata["machine"] or facts.get("bits") == "32":
        raise DeployError(
            f"it is {machine}, {facts.get('bits')}-bit; the kit is for board "
            f"{kit.metadata['board']}, {kit.metadata['machine']}, 64-bit; name a kit for it with "
            "--install",
            host=destination.ssh,
        )


def _check_python(destination: Destination, kit: KitContents, versions: Set[str]) -> None:
    """Refuse a board without the kit's Python; the installer checks it again."""
    expected = kit.metadata["python"]
    if expected in versions:
        return
    supported = [
        version
        for version in sorted(versions)
        if (match := re.fullmatch(r"3\.(\d{1,3})", version)) and (3, int(match[1])) >= OLDEST_PYTHON
    ]
    if supported:
        remedy = f"make one for it: edge-pipeline kit --python {supported[0]}"
    else:
        remedy = "3.11 or newer is needed: update its system, or sudo apt install python3"
    raise DeployError(
        f"it has {'Python ' + ', '.join(sorted(versions)) if versions else 'no Python'}, the kit "
        f"is for {expected}; {remedy}",
        host=destination.ssh,
    )


def _check_disk(destination: Destination, facts: Mapping[str, str], need_bytes: int) -> None:
    """Refuse a disk without space, or without the right to run programs, before copying."""
    if facts.get("noexec"):
        raise DeployError(
            f"the file system of {facts['folder']} does not allow programs to run (noexec); "
            "nothing was copied: name another folder with --folder",
            host=destination.ssh,
        )
    free = facts.get("free_kb", "")
    if free.isdecimal() and int(free) * 1024 < need_bytes:
        raise DeployError(
            f"only {int(free) / 1024:.0f} MB are free at {facts['folder']}, "
            f"{need_bytes / 1024**2 + 1:.0f} MB are needed; nothing was copied: free some, or name "
            "another folder with --folder",
            host=destination.ssh,
        )


def _result_from(host: str, facts: Mapping[str, str]) -> DeployResult:
    outcome = facts.get("outcome", "")
    is_known = outcome in OUTCOMES
    return DeployResult(
        host,
        outcome if is_known else "failed",
        "" if is_known else "the board reported no outcome; deploy again",
        current=facts.get("current", ""),
        previous=facts.get("previous", ""),
        trial=facts.get("trial", ""),
        bench=parse_bench(facts),
    )


def _board(facts: Mapping[str, str]) -> str:
    return facts.get("board") or facts.get("machine", "")


def _folder(destination: Destination) -> list[str]:
    return ["--folder", destination.folder] if destination.folder else []


def _script() -> str:
    return (
        files("edge_pipeline.packaging.kit")
        .joinpath("board", "board.sh")
        .read_text(encoding="utf-8")
    )


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _unwatched(host: str, step: str) -> None:
    pass
