"""`modelyard environment`: registered and built environments."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from modelyard.cli.documents import document_from, folder_of
from modelyard.cli.options import File, Label, OutputFormat, Settings, Version
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import session_of
from modelyard.client.documents.assets import ENVIRONMENT, read_environment
from modelyard.client.documents.identity import environment_document
from modelyard.core.domain.operation_step import OperationStep

app = typer.Typer(no_args_is_help=True, help="Conda specifications and built environments: create, list, show, prune.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the environment.")]
OptionalName = Annotated[
    str | None, typer.Option("--name", "-n", help="The name of the environment.", show_default=False)
]

COLUMNS = (Column("Name", "name"), Column("Latest version", "latest_version"), Column("Description", "description"))
VERSION_COLUMNS = (Column("Name", "name"), Column("Version", "version"), Column("Description", "description"))
BUILT_COLUMNS = (
    Column("Folder", "folder"),
    Column("Python", "python_version"),
    Column("Size", "size"),
    Column("Used by", "used_by"),
)

_MEGABYTE = 1 << 20


@app.command()
def create(
    context: typer.Context,
    name: OptionalName = None,
    version: Version = None,
    file: File = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Register a conda specification."""
    document = document_from(file, {"name": name, "version": version}, settings, ENVIRONMENT)
    with session_of(context).client(file) as client:
        resource = client.environments.register(read_environment(document, folder_of(file)))
    show(environment_document(resource), output)


@app.command("list")
def list_(
    context: typer.Context,
    name: OptionalName = None,
    built: Annotated[bool, typer.Option("--built", help="List the environments on the platform's disk.")] = False,
    output: OutputFormat = None,
) -> None:
    """List the registered environments, the versions of an environment, or the built environments."""
    with session_of(context).client() as client:
        if built:
            show_all(map(built_environment, client.environments.built()), BUILT_COLUMNS, output)
            return
        found = client.environments.versions(name) if name else client.environments.list()
        show_all(map(environment_document, found), VERSION_COLUMNS if name else COLUMNS, output)
        if not name:
            note("to list the environments of models: modelyard environment list --built")


@app.command("show")
def show_(
    context: typer.Context, name: Name, version: Version = None, label: Label = None, output: OutputFormat = None
) -> None:
    """Show a registered environment."""
    with session_of(context).client() as client:
        show(environment_document(client.environments.get(name, version)), output)


@app.command()
def prune(context: typer.Context) -> None:
    """Remove the built environments without a deployment, and print their names."""
    with session_of(context).client() as client:
        with progress() as watcher:
            watcher.step(OperationStep.PRUNING.sentence)
            removed = client.environments.prune(watcher)
        for folder in removed:
            write(folder)
        if not removed:
            note("nothing removed: every built environment is in use")


def built_environment(built: Mapping[str, Any]) -> dict[str, Any]:
    size = int(built.get("sizeBytes") or 0)
    return {
        "folder": built["folder"],
        "lock_hash": built["lockHash"],
        "python_version": built["pythonVersion"],
        "size_bytes": size,
        "size": f"{size / _MEGABYTE:.0f} MB",
        "used_by": [f"{user['endpoint']}/{user['deployment']}" for user in built.get("usedBy") or ()],
    }
