"""`modelyard event`: audit events."""

from itertools import islice
from typing import Annotated

import typer

from modelyard.cli.options import OutputFormat
from modelyard.cli.output import Column, show_all
from modelyard.cli.session import session_of
from modelyard.client.documents.event import event_document
from modelyard.core.domain.audit import AuditAction

app = typer.Typer(no_args_is_help=True, help="Audit events: each change of a resource, with the caller.")

COLUMNS = (
    Column("Time", "time"),
    Column("Caller", "caller"),
    Column("Action", "action"),
    Column("Resource", "resource"),
    Column("From", "from_state"),
    Column("To", "to_state"),
)

Resource = Annotated[
    str | None,
    typer.Option("--resource", "-r", help="An ARM id or its end: onlineEndpoints/wines.", show_default=False),
]
Action = Annotated[AuditAction | None, typer.Option("--action", "-a", help="The kind of change.", show_default=False)]
Caller = Annotated[str | None, typer.Option("--caller", help="A user, or system:<process>.", show_default=False)]
Since = Annotated[str | None, typer.Option("--since", help="Events at or after this UTC time.", show_default=False)]
Until = Annotated[str | None, typer.Option("--until", help="Events before this UTC time.", show_default=False)]
MaxEvents = Annotated[int, typer.Option("--max-events", min=1, help="The largest number of events.")]


@app.command("list")
def list_(
    context: typer.Context,
    resource: Resource = None,
    action: Action = None,
    caller: Caller = None,
    since: Since = None,
    until: Until = None,
    max_events: MaxEvents = 100,
    output: OutputFormat = None,
) -> None:
    """List the audit events, the newest first."""
    with session_of(context).client() as client:
        found = client.events.list(resource=resource, action=action, caller=caller, since=since, until=until)
        show_all(map(event_document, islice(found, max_events)), COLUMNS, output)
