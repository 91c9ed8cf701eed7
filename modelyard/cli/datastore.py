"""`modelyard datastore`: folders of the platform's object store under names of their own."""

from typing import Annotated

import typer

from modelyard.cli.documents import document_from
from modelyard.cli.options import File, OutputFormat, Settings, Yes, confirm
from modelyard.cli.output import Column, show, show_all
from modelyard.cli.progress import note
from modelyard.cli.session import session_of
from modelyard.client.documents.datastore import DATASTORE, datastore_document
from modelyard.client.documents.reading import required

app = typer.Typer(
    no_args_is_help=True, help="Folders of the platform's object store, for files of data assets and jobs."
)

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the datastore.")]
OptionalName = Annotated[
    str | None, typer.Option("--name", "-n", help="The name of the datastore.", show_default=False)
]

COLUMNS = (Column("Name", "name"), Column("Type", "type"), Column("Default", "is_default"))


@app.command()
def create(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Create a datastore in the platform's object store. Account, container and credentials of a file stay unused."""
    document = document_from(file, {"name": name}, settings, DATASTORE)
    name = required(document, "name", "-n")
    with session_of(context).client(file) as client:
        show(datastore_document(client.datastores.put(name, document)), output)


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the datastores."""
    with session_of(context).client() as client:
        show_all(map(datastore_document, client.datastores.list()), COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Show a datastore."""
    with session_of(context).client() as client:
        show(datastore_document(client.datastores.get(name)), output)


@app.command()
def delete(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Delete a datastore. The files stay."""
    confirm(f"Delete datastore {name}? The files stay.", yes)
    with session_of(context).client() as client:
        if not client.datastores.delete(name):
            note(f"there is no datastore {name}")
