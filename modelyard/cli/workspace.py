"""`modelyard workspace`: the containers of all resources."""

from typing import Annotated

import typer

from modelyard.cli.options import OutputFormat, Yes, confirm
from modelyard.cli.output import Column, show, show_all
from modelyard.cli.progress import note
from modelyard.cli.session import session_of
from modelyard.client.documents.workspace import workspace_document

app = typer.Typer(no_args_is_help=True, help="Workspaces, which hold all other resources: create, list, show, delete.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the workspace.")]

COLUMNS = (Column("Name", "name"), Column("Created", "creation_context.created_at"), Column("Id", "id"))


@app.command()
def create(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Create a workspace, unless it exists."""
    with session_of(context).client() as client:
        show(workspace_document(client.workspaces.create(name)), output)
    note(f"commands use this workspace with MODELYARD_WORKSPACE={name}")


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the workspaces that the token may read."""
    with session_of(context).client() as client:
        show_all(map(workspace_document, client.workspaces.list()), COLUMNS, output)


@app.command("show")
def show_(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="The name (default: the workspace in use).", show_default=False)
    ] = None,
    output: OutputFormat = None,
) -> None:
    """Show a workspace, and the URLs for the clients of Azure ML and MLflow."""
    with session_of(context).client() as client:
        show(workspace_document(client.workspaces.get(name)), output)


@app.command()
def delete(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Delete a workspace without endpoints, registered assets and unfinished jobs."""
    confirm(f"Delete workspace {name} with the files of its jobs and its tokens?", yes)
    with session_of(context).client() as client:
        if not client.workspaces.delete(name):
            note(f"there is no workspace {name}")
