"""``deploy``: a sealed model and hosts in, what became of it on each of them out.

A board is asked what it has; gets what it lacks, by digest; checks the model as a program would;
and switches by one rename.  Whatever goes wrong before that, the version that was there answers on.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_runtime.bundle.bundle_file import open_bundle

from edge_pipeline.deployment.board_output import bench_of, every, facts_of
from edge_pipeline.deployment.inventory import Place, named_places, read_inventory
from edge_pipeline.errors import DeployError, EdgePipelineError
from edge_pipeline.packaging.kit.archive import SUMS, Contents, read_kit
from edge_pipeline.packaging.kit.make_kit import board_name

__all__ = ["DeployResult", "deploy", "roll_back"]

JOBS = 8
"""Hosts served at once, unless told otherwise."""

OUTCOMES = frozenset({"deployed", "unchanged", "rolled back"})
"""What a board that did as asked calls it."""

Watch = Callable[[str, str], None]
"""Called with a host's name and what is being done there."""


@dataclass(frozen=True)
class DeployResult:
    """What became of a model on one host.

    Attributes
    ----------
    host
        Its name in the inventory, or its address.
    outcome
        ``deployed``, ``unchanged``, ``rolled back`` or ``failed``.
    error
        Why it failed, and what to do; empty otherwise.
    current, previous
        Ids of the release that answers there, and of the one to go back to; empty if unknown.
    sent_bytes
        Copied there.
    board
        What the machine calls itself.
    bench
        What ``edge-runtime bench --json`` printed there; empty if it printed nothing.
    """

    host: str
    outcome: str
    error: str = ""
    current: str = ""
    previous: str = ""
    sent_bytes: int = 0
    board: str = ""
    bench: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the host answers as was asked for."""
        return self.outcome != "failed"

    @property
    def broken_limits(self) -> list[str]:
        """Limits of the model that the board does not keep, or does not know."""
        limits = self.bench.get("limits", {})
        return sorted(name for name, limit in limits.items() if limit["kept"] is not True)

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class _Job:
    """What is the same for every host."""

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
    """Copy a sealed model to hosts, and switch to it where it is accepted.

    Parameters
    ----------
    path
        The sealed file.
    hosts, inventory
        Addresses as ``ssh`` takes them, or a file that names them.
    install
        Kit to install the runtime from, where it is not installed yet.
    folder
        Folder of the models on the hosts; their own default when None.
    name
        What the model is called there; its own name when None.
    jobs
        Hosts served at once.
    watch
        Called with a host and what is being done there.

    Returns
    -------
    list
        One for each host, in their order; a host that fails is among them and stops no other.

    Raises
    ------
    DeployError
        A host is not named well, or the inventory is no inventory.
    KitError, BundleError
        The kit or the sealed file cannot be read.
    """
    manifest = open_bundle(os.fspath(path)).manifest
    model = Path(path).read_bytes()
    places = _places(hosts, inventory, folder)
    kits = {
        kit: read_kit(kit)
        for kit in {Path(install) if install else place.kit for place in places.values()}
        if kit is not None
    }
    job = _Job(
        board_name(name or manifest.name),
        model,
        hashlib.sha256(model).hexdigest(),
        watch or _unwatched,
    )

    def one(host: str, place: Place) -> DeployResult:
        kit = Path(install) if install else place.kit
        return _deploy(host, place, job, None if kit is None else kits[kit])

    return _onevery(places, one, jobs)


def roll_back(
    model: str | os.PathLike[str],
    hosts: Sequence[str] = (),
    *,
    inventory: str | os.PathLike[str] | None = None,
    folder: str | None = None,
    jobs: int = JOBS,
    watch: Watch | None = None,
) -> list[DeployResult]:
    """Have hosts switch back to the version before; again, and they are back.

    Parameters
    ----------
    model
        What the model is called there, or a sealed file of that name.
    hosts, inventory, folder, jobs, watch
        As for :func:`deploy`.

    Raises
    ------
    DeployError
        A host is not named well, or the inventory is no inventory.
    KitError, BundleError
        *model* cannot be the name of a model there, or the file cannot be read.
    """
    name = os.fspath(model)
    if os.path.isfile(name) or os.sep in name:
        name = open_bundle(name).manifest.name
    name = board_name(name)

    def one(host: str, place: Place) -> DeployResult:
        (watch or _unwatched)(host, "switching back")
        arguments = ["rollback", "--machine", "--name", name, *_folder(place)]
        return _finished(host, facts_of(place.host.run(_script(), arguments)))

    return _onevery(_places(hosts, inventory, folder), one, jobs)


def _places(
    hosts: Sequence[str], inventory: str | os.PathLike[str] | None, folder: str | None
) -> dict[str, Place]:
    places = named_places(hosts, folder=folder)
    if inventory is not None:
        listed = read_inventory(inventory)
        # Hosts beside an inventory choose among its names.
        unknown = [host for host in hosts if host not in listed]
        if unknown:
            raise DeployError(
                f"{os.fspath(inventory)} names no {unknown[0]!r}; it has {', '.join(listed)}"
            )
        places = {host: listed[host] for host in hosts or listed}
        if folder:
            places = {h: place.model_copy(update={"folder": folder}) for h, place in places.items()}
    if not places:
        raise DeployError("no host is named; expected user@host, or --inventory FILE")
    return places


def _onevery(
    places: Mapping[str, Place], one: Callable[[str, Place], DeployResult], jobs: int
) -> list[DeployResult]:
    def guarded(item: tuple[str, Place]) -> DeployResult:
        host, place = item
        try:
            return one(host, place)
        except DeployError as error:
            return DeployResult(host, "failed", str(error).removeprefix(f"{place.ssh}: "))
        except (EdgePipelineError, OSError) as error:
            return DeployResult(host, "failed", str(error))

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return list(pool.map(guarded, places.items()))


def _deploy(host: str, place: Place, job: _Job, kit: Contents | None) -> DeployResult:
    parts = {job.sha256: job.model}
    kit_parts = {} if kit is None else {_digest(raw): raw for raw in kit.parts.values()}
    job.watch(host, "asking what it has")
    wanted = " ".join([job.sha256, *sorted(kit_parts.keys() - {job.sha256})])
    told = place.host.run(
        _script(), ["probe", "--machine", "--name", job.name, "--parts", wanted, *_folder(place)]
    )
    facts = facts_of(told)
    installed = every(told, "installed")
    _check_board(place, facts, kit)
    installs = kit is not None and kit.told["runtime_id"] not in installed
    if kit is not None and installs:
        _check_python(place, kit, every(told, "python"))
    if installs:
        parts |= kit_parts
    missing = every(told, "missing")
    sent = {
        digest: parts[digest]
        for digest in sorted(parts.keys() & missing, key=lambda d: len(parts[d]))
    }
    size = sum(map(len, sent.values()))
    if sent:
        job.watch(host, f"copying {size / 1e6:.1f} MB")
        place.host.send(sent, f"{facts['folder']}/.parts/.arriving-{secrets.token_hex(8)}")
    if kit is not None and installs:
        job.watch(host, "installing the runtime")
        sums = _digest(kit.parts[SUMS])
        place.host.run(_script(), ["assemble", "--sha256", sums, *_folder(place)])
    job.watch(host, "checking the model")
    arguments = ["activate", "--machine", "--name", job.name, "--sha256", job.sha256]
    if kit is not None:
        arguments += ["--runtime", kit.told["runtime_id"]]
    done = facts_of(place.host.run(_script(), [*arguments, *_folder(place)]))
    return replace(_finished(host, done), sent_bytes=size, board=_board(facts))


def _check_board(place: Place, facts: Mapping[str, str], kit: Contents | None) -> None:
    """Refuse before anything is copied what the board would refuse afterwards."""
    if not facts.get("folder"):
        raise DeployError(
            "it does not say where its models are; something else answers before the shell: look "
            f"at what `ssh {place.ssh} true` prints",
            host=place.ssh,
        )
    machine = facts.get("machine", "unknown")
    if kit is None:
        if not facts.get("runtime"):
            raise DeployError(
                f"no runtime is installed in {facts['folder']}; make a kit for "
                f"it (it is {machine}): edge-pipeline kit, and deploy with --install KIT",
                host=place.ssh,
            )
        return
    if machine != kit.told["machine"] or facts.get("bits") == "32":
        raise DeployError(
            f"it is {machine}, {facts.get('bits')}-bit; the kit is for board {kit.told['board']}, "
            f"{kit.told['machine']}, 64-bit; name a kit for it with --install",
            host=place.ssh,
        )


def _check_python(place: Place, kit: Contents, found: Set[str]) -> None:
    """Refuse a board whose Pythons are others than the kit's; the installer asks it again."""
    wanted = kit.told["python"]
    if found and wanted not in found:
        raise DeployError(
            f"it has Python {', '.join(sorted(found))}, the kit is for {wanted}; make one for it: "
            f"edge-pipeline kit --python {min(found)}",
            host=place.ssh,
        )


def _finished(host: str, facts: Mapping[str, str]) -> DeployResult:
    outcome = facts.get("outcome", "")
    is_told = outcome in OUTCOMES
    return DeployResult(
        host,
        outcome if is_told else "failed",
        "" if is_told else "the board did not say what it did; deploy again",
        current=facts.get("current", ""),
        previous=facts.get("previous", ""),
        bench=bench_of(facts),
    )


def _board(facts: Mapping[str, str]) -> str:
    return facts.get("board") or facts.get("machine", "")


def _folder(place: Place) -> list[str]:
    return ["--folder", place.folder] if place.folder else []


def _script() -> str:
    return (
        files("edge_pipeline.packaging.kit")
        .joinpath("board", "board.sh")
        .read_text(encoding="utf-8")
    )


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _unwatched(host: str, doing: str) -> None:
    pass
