"""`modelyard online-endpoint`: endpoints with a scoring URL."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.documents import document_from, pairs
from modelyard.cli.options import File, NoWait, OutputFormat, Settings, Yes, confirm
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.session import Session, session_of
from modelyard.client.client import Client
from modelyard.client.documents.identity import endpoint_document
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.client.documents.reading import Document, merged, required
from modelyard.client.errors import InvalidDocument
from modelyard.client.operations import Change

app = typer.Typer(no_args_is_help=True, help="Endpoints with a scoring URL: create, update, invoke, delete.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the endpoint.")]
OptionalName = Annotated[str | None, typer.Option("--name", "-n", help="The name of the endpoint.", show_default=False)]

COLUMNS = (
    Column("Name", "name"),
    Column("State", "provisioning_state"),
    Column("Auth", "auth_mode"),
    Column("Traffic", "traffic"),
    Column("Scoring URI", "scoring_uri"),
)


@app.command()
def create(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    auth_mode: Annotated[
        str | None, typer.Option(help="The credentials of requests: key or aml_token.", show_default=False)
    ] = None,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Create an endpoint with a scoring URL and keys."""
    session = session_of(context)
    document = document_from(file, {"name": name, "auth_mode": auth_mode}, settings, ONLINE_ENDPOINT)
    with session.client(file) as client:
        _finish(session, client, document, client.put_endpoint(document), no_wait, output)


@app.command()
def update(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    traffic: Annotated[
        str | None,
        typer.Option(metavar='"BLUE=90 GREEN=10"', help="Percent of the requests by deployment.", show_default=False),
    ] = None,
    mirror_traffic: Annotated[
        str | None,
        typer.Option(metavar='"GREEN=10"', help="Percent of the requests to copy to a deployment.", show_default=False),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar='"second=10 day=5000"',
            help="Requests that each key may send; none removes the limits.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Update the traffic, limits, tags or description of an endpoint."""
    session = session_of(context)
    flags: dict[str, object] = {"name": name, "traffic": pairs(traffic), "mirror_traffic": pairs(mirror_traffic)}
    if rate_limit is not None:
        flags["rate_limit"] = _rate_limit(rate_limit)
    changes = document_from(file, flags, None, ONLINE_ENDPOINT)
    name = required(changes, "name", "-n")
    with session.client(file) as client:
        present = endpoint_document(client.online_endpoints.get(name))
        document = document_from(None, merged(present, changes), settings, ONLINE_ENDPOINT)
        _finish(session, client, document, client.put_endpoint(document), no_wait, output)


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the endpoints."""
    with session_of(context).client() as client:
        show_all(map(endpoint_document, client.online_endpoints.list()), COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Show an endpoint."""
    with session_of(context).client() as client:
        show(endpoint_document(client.online_endpoints.get(name)), output)


@app.command()
def delete(context: typer.Context, name: Name, yes: Yes = False, no_wait: NoWait = False) -> None:
    """Delete an endpoint with all deployments."""
    session = session_of(context)
    confirm(f"Delete endpoint {name} with all deployments?", yes)
    with session.client() as client:
        change = client.online_endpoints.delete(name)
        if not no_wait:
            session.wait(change, goes_on=f"the deletion of endpoint {name} continues")


@app.command()
def invoke(
    context: typer.Context,
    name: Name,
    request_file: Annotated[
        Path, typer.Option("--request-file", "-r", help="A file with the JSON body; - reads standard input.")
    ],
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment-name", "-d", help="The deployment that scores (default: by traffic).", show_default=False
        ),
    ] = None,
) -> None:
    """Send a scoring request and print the response body."""
    body = _request_body(request_file)
    with session_of(context).client() as client:
        write(client.invoke(name, body, deployment))


@app.command("get-credentials")
def get_credentials(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Print the keys of an endpoint, or a token for auth_mode aml_token."""
    with session_of(context).client() as client:
        show(client.online_endpoints.credentials(name).document, output)


@app.command("regenerate-keys")
def regenerate_keys(
    context: typer.Context,
    name: Name,
    key_type: Annotated[str, typer.Option(help="The key to replace: primary or secondary.")] = "primary",
    no_wait: NoWait = False,
) -> None:
    """Replace the primary or the secondary key. The old key stops working."""
    session = session_of(context)
    if key_type.lower() not in {"primary", "secondary"}:
        raise typer.BadParameter("--key-type must be primary or secondary")
    with session.client() as client:
        change = client.online_endpoints.regenerate_key(name, key_type)
        if not no_wait:
            session.wait(change, goes_on=f"the change of the key of endpoint {name} continues")


def _rate_limit(text: str) -> dict[str, int]:
    """ "second=10 day=5000" as the field rate_limit of a file."""
    if text.strip().lower() == "none":
        return {}
    limits = pairs(text) or {}
    if not limits or not all(name in {"second", "day"} and limit.isdecimal() for name, limit in limits.items()):
        raise typer.BadParameter(
            f"--rate-limit is {text!r}: write whole numbers, such as 'second=10 day=5000', or none"
        )
    return {f"requests_per_{name}": int(limit) for name, limit in limits.items()}


def _finish(
    session: Session, client: Client, document: Document, change: Change, no_wait: bool, output: OutputFormat
) -> None:
    name = str(document["name"])
    resource = change.resource
    if not no_wait:
        session.wait(change, goes_on=f"the update of endpoint {name} continues")
        resource = client.online_endpoints.get(name)
    show(endpoint_document(resource), output)


def _request_body(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidDocument(f"cannot read {path}: {error.strerror}") from None
