"""Read the hosts of an inventory file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_pipeline.deployment.ssh import Host
from edge_pipeline.errors import DeployError

__all__ = ["Destination", "destinations_of", "read_inventory"]

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class Destination(BaseModel):
    """A host, the folder of its models, and its kit.

    Attributes
    ----------
    ssh
        Address that ``ssh`` accepts: ``user@host``, or a name of ssh_config.
    folder
        Folder of the models there; the board's default when None.
    kit
        Kit that installs the runtime if it is missing there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssh: Text
    folder: Text | None = None
    kit: Path | None = None

    @property
    def host(self) -> Host:
        """Return the host of the address, checked."""
        return Host(self.ssh)


class _Inventory(BaseModel):
    """An inventory file: defaults, and a table for each host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Text | None = None
    kit: Path | None = None
    hosts: dict[str, Destination] = Field(min_length=1, max_length=10_000)


def read_inventory(path: str | os.PathLike[str]) -> dict[str, Destination]:
    """Read an inventory: host name to destination.

    Raises
    ------
    DeployError
        The file is not TOML, or not an inventory; the message names the key.
    OSError
        The file cannot be read.
    """
    file = Path(path)
    try:
        inventory = _Inventory.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{file} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise DeployError(
            f'{file}: {key}: {first["msg"]}; expected [hosts.NAME] with ssh = "user@host", and '
            "optionally folder and kit"
        ) from error
    destinations = {}
    for name, destination in inventory.hosts.items():
        kit = destination.kit or inventory.kit
        destinations[name] = Destination(
            ssh=destination.ssh,
            folder=destination.folder or inventory.folder,
            # A path in the file is relative to the file.
            kit=None if kit is None else file.parent / kit,
        )
        _ = destinations[name].host
    return destinations


def destinations_of(hosts: Sequence[str], *, folder: str | None) -> dict[str, Destination]:
    """Return the hosts of a command line: address to destination.

    Raises
    ------
    DeployError
        An address is not a host.
    """
    destinations = {
        address: Destination(ssh=address or "-", folder=folder or None) for address in hosts
    }
    for destination in destinations.values():
        _ = destination.host
    return destinations
