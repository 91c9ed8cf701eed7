"""`modelyard compute`: the names of compute clusters that batch deployments carry over from Azure."""

from typing import Annotated

import typer

from modelyard.cli.documents import document_from
from modelyard.cli.options import File, OutputFormat, Settings, Yes, confirm
from modelyard.cli.output import Column, show, show_all
from modelyard.cli.progress import note
from modelyard.cli.session import session_of
from modelyard.client.documents.compute import COMPUTE, compute_document
from modelyard.client.documents.reading import required

app = typer.Typer(
    no_args_is_help=True,
    help="Names of compute clusters, for files from Azure. The platform's own workers do the work.",
)

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the compute.")]
OptionalName = Annotated[str | None, typer.Option("--name", "-n", help="The name of the compute.", show_default=False)]

COLUMNS = (Column("Name", "name"), Column("Type", "type"), Column("Size", "size"), Column("Max", "max_instances"))


@app.command()
def create(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    kind: Annotated[str | None, typer.Option("--type", "-t", help="amlcompute", show_default=False)] = None,
    size: Annotated[str | None, typer.Option(help="The size of the nodes; recorded.", show_default=False)] = None,
    min_instances: Annotated[int | None, typer.Option(help="The fewest nodes; recorded.", show_default=False)] = None,
    max_instances: Annotated[int | None, typer.Option(help="The most nodes; recorded.", show_default=False)] = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Create or replace a compute."""
    flags = {
        "name": name,
        "type": kind,
        "size": size,
        "min_instances": min_instances,
        "max_instances": max_instances,
    }
    document = document_from(file, flags, settings, COMPUTE)
    name = required(document, "name", "-n")
    with session_of(context).client(file) as client:
        show(compute_document(client.computes.put(name, document)), output)


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the computes."""
    with session_of(context).client() as client:
        show_all(map(compute_document, client.computes.list()), COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Show a compute."""
    with session_of(context).client() as client:
        show(compute_document(client.computes.get(name)), output)


@app.command()
def delete(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Delete a compute. Batch deployments that name the compute keep working."""
    confirm(f"Delete compute {name}?", yes)
    with session_of(context).client() as client:
        if not client.computes.delete(name):
            note(f"there is no compute {name}")
