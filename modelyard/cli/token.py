"""`modelyard token`: access tokens for colleagues and programs."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from modelyard.cli.options import OutputFormat, Yes, confirm
from modelyard.cli.output import Column, show, show_all
from modelyard.cli.progress import note
from modelyard.cli.session import session_of
from modelyard.client.documents.token import token_document

app = typer.Typer(
    no_args_is_help=True, help="Access tokens, each with a subject, roles and an expiry: create, list, revoke."
)

COLUMNS = (
    Column("Name", "name"),
    Column("Subject", "subject"),
    Column("Roles", "roles"),
    Column("State", "state"),
    Column("Expires", "expires_at"),
    Column("Last used", "last_used_at"),
)
_NEVER = "never"
_LIFETIME = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the token.")]


def _lifetime(text: str) -> timedelta | None:
    """None: without an end."""
    if text == _NEVER:
        return None
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a lifetime: write 90d, 12h, 30m or {_NEVER}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@app.command()
def create(
    context: typer.Context,
    name: Name,
    role: Annotated[
        list[str],
        typer.Option(
            "--role",
            "-r",
            metavar="ROLE[@WORKSPACE]",
            help="owner, contributor, reader or scorer; @* is every workspace; may repeat.",
        ),
    ],
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject", "-s", help="The name in audit events (default: the token's name).", show_default=False
        ),
    ] = None,
    expires_in: Annotated[str, typer.Option("--expires-in", help="The lifetime: 90d, 12h, 30m or never.")] = "90d",
    output: OutputFormat = None,
) -> None:
    """Make a token. The output shows the token's text once."""
    lifetime = _lifetime(expires_in)
    expires_at = None if lifetime is None else datetime.now(UTC) + lifetime
    with session_of(context).client() as client:
        made = client.tokens.create(name, role, subject=subject, expires_at=expires_at)
    show(token_document(made), output)
    note("the token is shown this once: copy it now, the platform keeps a digest alone")


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the tokens of the workspace, expired and revoked tokens too."""
    with session_of(context).client() as client:
        show_all(map(token_document, client.tokens.list()), COLUMNS, output)


@app.command()
def revoke(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """End a token at once."""
    confirm(f"Revoke token {name}?", yes)
    with session_of(context).client() as client:
        client.tokens.revoke(name)
