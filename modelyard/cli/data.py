"""`modelyard data`: registered data assets."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.documents import document_from, folder_of
from modelyard.cli.options import File, Label, OutputFormat, Settings, Version
from modelyard.cli.output import Column, show, show_all
from modelyard.cli.progress import progress
from modelyard.cli.session import session_of
from modelyard.client.documents.data import DATA, InputType, read_data_document
from modelyard.client.documents.identity import data_document

app = typer.Typer(no_args_is_help=True, help="Registered files for batch jobs: create, list, show.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the data asset.")]
OptionalName = Annotated[
    str | None, typer.Option("--name", "-n", help="The name of the data asset.", show_default=False)
]

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
        Path | None, typer.Option("--path", "-p", help="A local file or folder.", show_default=False)
    ] = None,
    kind: Annotated[
        InputType | None,
        typer.Option("--type", "-t", help="File or folder (default: as the path).", show_default=False),
    ] = None,
    file: File = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Upload files and register the upload."""
    flags = {"name": name, "version": version, "path": str(path.absolute()) if path else None, "type": kind}
    document = document_from(file, flags, settings, DATA)
    with session_of(context).client(file) as client, progress() as watcher:
        resource = client.data.register(read_data_document(document, folder_of(file)), watcher)
    show(data_document(resource), output)


@app.command("list")
def list_(context: typer.Context, name: OptionalName = None, output: OutputFormat = None) -> None:
    """List the data assets, or the versions of a data asset."""
    with session_of(context).client() as client:
        found = client.data.versions(name) if name else client.data.list()
        show_all(map(data_document, found), VERSION_COLUMNS if name else COLUMNS, output)


@app.command("show")
def show_(
    context: typer.Context, name: Name, version: Version = None, label: Label = None, output: OutputFormat = None
) -> None:
    """Show a version of a data asset."""
    with session_of(context).client() as client:
        show(data_document(client.data.get(name, version)), output)
