"""An inventory file in, the hosts that it names out."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_pipeline.deployment.ssh import Host
from edge_pipeline.errors import DeployError

__all__ = ["Place", "named_places", "read_inventory"]

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class Place(BaseModel):
    """Where a model goes to, and with which kit.

    Attributes
    ----------
    ssh
        As ``ssh`` takes it: ``user@host``, or a name of ssh_config.
    folder
        Folder of the models there; the board's own default when None.
    kit
        Kit to install the runtime from, if it is not there yet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssh: Text
    folder: Text | None = None
    kit: Path | None = None

    @property
    def host(self) -> Host:
        """Checked."""
        return Host(self.ssh)


class _Inventory(BaseModel):
    """A whole file: defaults, and a table for each host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Text | None = None
    kit: Path | None = None
    hosts: dict[str, Place] = Field(min_length=1, max_length=10_000)


def read_inventory(path: str | os.PathLike[str]) -> dict[str, Place]:
    """The hosts of an inventory, by the names that it gives them.

    Raises
    ------
    DeployError
        It is not TOML, or not an inventory; the message names the key.
    OSError
        It cannot be read.
    """
    file = Path(path)
    try:
        read = _Inventory.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{file} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise DeployError(
            f'{file}: {key}: {first["msg"]}; expected [hosts.NAME] with ssh = "user@host", and '
            "folder and kit if they differ"
        ) from error
    places = {}
    for name, place in read.hosts.items():
        kit = place.kit or read.kit
        places[name] = Place(
            ssh=place.ssh,
            folder=place.folder or read.folder,
            # As everywhere else in a file: relative to the file.
            kit=None if kit is None else file.parent / kit,
        )
        _ = places[name].host
    return places


def named_places(hosts: Sequence[str], *, folder: str | None) -> dict[str, Place]:
    """The hosts of a command line, by their addresses.

    Raises
    ------
    DeployError
        One is no host.
    """
    places = {address: Place(ssh=address or "-", folder=folder or None) for address in hosts}
    for place in places.values():
        _ = place.host
    return places
