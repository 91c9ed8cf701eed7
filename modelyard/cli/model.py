"""`modelyard model`: registered models."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.documents import document_from, folder_of, pairs
from modelyard.cli.options import AssetLabel, File, Label, OutputFormat, Settings, Version
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.progress import progress
from modelyard.cli.session import session_of
from modelyard.client.documents.assets import MODEL, read_model
from modelyard.client.documents.identity import model_document

app = typer.Typer(no_args_is_help=True, help="MLflow model folders: register, list, download, archive.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the model.")]
OptionalName = Annotated[str | None, typer.Option("--name", "-n", help="The name of the model.", show_default=False)]

COLUMNS = (Column("Name", "name"), Column("Latest version", "latest_version"), Column("Description", "description"))
VERSION_COLUMNS = (
    Column("Name", "name"),
    Column("Version", "version"),
    Column("Type", "type"),
    Column("Created", "creation_context.created_at"),
    Column("Description", "description"),
)


@app.command()
def create(
    context: typer.Context,
    name: OptionalName = None,
    version: Annotated[
        str | None,
        typer.Option("--version", "-v", help="The version (default: the next free version).", show_default=False),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option("--path", "-p", help="The model folder, or the file of a custom model.", show_default=False),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", "-t", help="mlflow_model (default) or custom_model.", show_default=False)
    ] = None,
    file: File = None,
    description: Annotated[str | None, typer.Option(help="A description.", show_default=False)] = None,
    tags: Annotated[str | None, typer.Option(metavar='"A=1 B=2"', help="Tags.", show_default=False)] = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Register a model folder, or the files of a custom model."""
    flags = {
        "name": name,
        "version": version,
        "path": str(path.absolute()) if path else None,
        "type": kind,
        "description": description,
        "tags": pairs(tags),
    }
    document = document_from(file, flags, settings, MODEL)
    with session_of(context).client(file) as client, progress() as watcher:
        resource = client.models.register(read_model(document, folder_of(file)), watcher)
    show(model_document(resource), output)


@app.command("list")
def list_(
    context: typer.Context,
    name: OptionalName = None,
    archived_only: Annotated[bool, typer.Option("--archived-only", help="List only archived models.")] = False,
    include_archived: Annotated[bool, typer.Option("--include-archived", help="List archived models too.")] = False,
    output: OutputFormat = None,
) -> None:
    """List the models, or the versions of a model."""
    view = "All" if include_archived else "ArchivedOnly" if archived_only else "ActiveOnly"
    with session_of(context).client() as client:
        found = client.models.versions(name, view) if name else client.models.list(view)
        show_all(map(model_document, found), VERSION_COLUMNS if name else COLUMNS, output)


@app.command("show")
def show_(
    context: typer.Context, name: Name, version: Version = None, label: Label = None, output: OutputFormat = None
) -> None:
    """Show a model version."""
    with session_of(context).client() as client:
        show(model_document(client.models.get(name, version)), output)


@app.command()
def download(
    context: typer.Context,
    name: Name,
    version: Version = None,
    label: Label = None,
    download_path: Annotated[
        Path, typer.Option("--download-path", "-p", help="The parent folder of the new folder <name>.")
    ] = Path(),
) -> None:
    """Download a model to <download path>/<name>, and print the model folder."""
    with session_of(context).client() as client, progress() as watcher:
        watcher.step("downloading")
        folder = client.models.download(name, version, download_path / name, watcher)
    write(str(folder))


@app.command()
def archive(
    context: typer.Context,
    name: Name,
    version: Annotated[
        str | None, typer.Option("--version", "-v", help="The version (default: all versions).", show_default=False)
    ] = None,
    label: Label = None,
) -> None:
    """Hide a version, or all versions of a model, from lists. Deployments keep working."""
    with session_of(context).client() as client:
        if label is AssetLabel.LATEST:
            version = str(client.models.get(name)["name"])
        client.models.archive(name, version)
