"""The flags that several commands share, spelled as az ml spells them."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.output import Output

File = Annotated[
    Path | None, typer.Option("--file", "-f", help="A v2 YAML file, as az ml takes it.", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Set a field over the file's. May repeat.", show_default=False),
]
OutputFormat = Annotated[
    Output | None, typer.Option("--output", "-o", help="How to print the result.", show_default=False)
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the change is accepted.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Version = Annotated[
    str | None, typer.Option("--version", "-v", help="The version; the latest without it.", show_default=False)
]


class AssetLabel(StrEnum):
    """What a version may be called instead of its number."""

    LATEST = "latest"


Label = Annotated[AssetLabel | None, typer.Option("--label", "-l", help="Instead of a version.", show_default=False)]
EndpointOfDeployment = Annotated[str, typer.Option("--endpoint-name", "-e", help="The endpoint it belongs to.")]


def confirm(question: str, yes: bool) -> None:
    """Ask before something is gone for good. A script has to say --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.Abort()
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort()
