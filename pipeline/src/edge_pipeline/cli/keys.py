"""Define edge-pipeline keygen and sign, and the option --key of build and export."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.packaging.signing import SigningKey

__all__ = ["key_option", "keygen_command", "read_key", "sign_command"]

PASSWORD_VARIABLE = "EDGE_KEY_PASSWORD"

KEYGEN_EXAMPLES = """\b
Examples:
  edge-pipeline keygen -o wine-factory.pem
  EDGE_KEY_PASSWORD=... edge-pipeline keygen -o wine-factory.pem
"""

SIGN_EXAMPLES = """\b
Examples:
  edge-pipeline sign dist/penguins.onnx --key wine-factory.pem
"""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def key_option(*, required: bool = False) -> Callable[[_Command], _Command]:
    """Define the option ``--key``."""
    return click.option(
        "--key",
        type=click.Path(path_type=Path, dir_okay=False),
        required=required,
        help=f"Private key for signing; prompts for its password, or reads ${PASSWORD_VARIABLE}.",
    )


def read_key(path: Path) -> SigningKey:
    """Read the key of ``--key``; ask for its password if it has one."""
    from edge_pipeline.packaging.signing import SigningKey, is_protected

    password = _password(confirm=False) if is_protected(path) else None
    return SigningKey.read(path, password=password)


@click.command("keygen", short_help="Create a key for signing files.", epilog=KEYGEN_EXAMPLES)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("signing-key.pem"),
    show_default=True,
    help="File for the private key; the public key goes beside it.",
)
@click.option("--no-password", is_flag=True, help="Do not encrypt the private key.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def keygen_command(output: Path, no_password: bool, as_json: bool) -> None:
    """Create an Ed25519 key: a private key for this machine, a public key for the devices.

    A password encrypts the private key; the command prompts for it or reads EDGE_KEY_PASSWORD.
    An existing key is never overwritten.
    """
    from edge_pipeline.packaging.signing import public_path

    key = edge_pipeline.make_signing_key(
        output, password=None if no_password else _password(confirm=True)
    )
    public = public_path(output)
    if as_json:
        display.show_json(
            {"key_id": key.key_id, "private_key": str(output), "public_key": str(public)}
        )
        return
    display.show_lines(
        [
            ("key", key.key_id),
            ("private key", f"{output}: keep it here, and a copy in a safe"),
            ("public key", f"{public}: on each device, edge-runtime trust add {public.name}"),
        ]
    )


@click.command("sign", short_help="Sign a sealed file.", epilog=SIGN_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@key_option(required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def sign_command(file: Path, key: Path, as_json: bool) -> None:
    """Sign FILE in place, after loading it as a device would.

    Signing again with another key replaces the signature.
    """
    result = edge_pipeline.sign(file, read_key(key))
    if as_json:
        display.show_json(
            {
                "path": str(result.path),
                "key_id": result.key_id,
                "name": result.manifest.name,
                "version": result.manifest.version,
            }
        )
        return
    display.show_lines(
        [
            ("signed", str(result.path)),
            ("model", f"{result.manifest.name}, version {result.manifest.version}"),
            ("key", result.key_id),
        ]
    )


def _password(*, confirm: bool) -> str:
    from_environment = os.environ.get(PASSWORD_VARIABLE)
    if from_environment is not None:
        return from_environment
    if not sys.stdin.isatty():
        raise click.UsageError(
            "no terminal to ask for the key's password on; set "
            f"{PASSWORD_VARIABLE}" + (", or pass --no-password" if confirm else "")
        )
    password: str = click.prompt(
        "password of the key", hide_input=True, confirmation_prompt=confirm, err=True
    )
    return password
