"""Options that several commands share, with the names of az ml."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.output import Output

File = Annotated[Path | None, typer.Option("--file", "-f", help="A v2 YAML file of az ml.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Set a field, over the file; may repeat.", show_default=False),
]
OutputFormat = Annotated[
    Output | None, typer.Option("--output", "-o", help="The format of the result.", show_default=False)
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return without waiting for the end of the operation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Version = Annotated[
    str | None, typer.Option("--version", "-v", help="The version (default: the latest).", show_default=False)
]


class AssetLabel(StrEnum):
    """A label in place of a version."""

    LATEST = "latest"


Label = Annotated[
    AssetLabel | None, typer.Option("--label", "-l", help="A label in place of a version.", show_default=False)
]
EndpointOfDeployment = Annotated[str, typer.Option("--endpoint-name", "-e", help="The endpoint of the deployment.")]


def confirm(question: str, yes: bool) -> None:
    """Ask for confirmation of a deletion. A script must pass --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.Abort()
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort()
