"""`modelyard online-deployment`: deployments of online endpoints."""

import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer

from modelyard.cli.documents import document_from, folder_of
from modelyard.cli.options import EndpointOfDeployment, File, NoWait, OutputFormat, Settings, Yes, confirm
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import Session, log_commands, session_of
from modelyard.client.client import Client
from modelyard.client.documents.identity import deployment_document
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.reading import Document, merged
from modelyard.client.errors import InvalidDocument
from modelyard.client.watching import Watcher
from modelyard.core.domain.operation_step import OperationStep

app = typer.Typer(no_args_is_help=True, help="Models of online endpoints: create, update, get logs, delete.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the deployment.")]
OptionalName = Annotated[
    str | None, typer.Option("--name", "-n", help="The name of the deployment.", show_default=False)
]
OptionalEndpoint = Annotated[
    str | None, typer.Option("--endpoint-name", "-e", help="The endpoint of the deployment.", show_default=False)
]

COLUMNS = (
    Column("Name", "name"),
    Column("Endpoint", "endpoint_name"),
    Column("State", "provisioning_state"),
    Column("Model", "model"),
    Column("Instances", "instance_count"),
)

_FOLLOWED_LINES = 5000
_FOLLOW_SECONDS = 1.0
_ANCHOR_LINES = 100


class Container(StrEnum):
    INFERENCE_SERVER = "inference-server"
    STORAGE_INITIALIZER = "storage-initializer"

    @property
    def arm(self) -> str:
        return "".join(word.capitalize() for word in self.value.split("-"))


@app.command()
def create(
    context: typer.Context,
    file: File = None,
    name: OptionalName = None,
    endpoint: OptionalEndpoint = None,
    all_traffic: Annotated[
        bool, typer.Option("--all-traffic", help="Route all traffic to the deployment, once ready.")
    ] = False,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Create a deployment: register an inline model, build the environment, start the workers."""
    if all_traffic and no_wait:
        raise typer.BadParameter("--all-traffic waits until the deployment is ready: leave out --no-wait")
    document = document_from(file, {"name": name, "endpoint_name": endpoint}, settings, ONLINE_DEPLOYMENT)
    session = session_of(context)
    with session.client(file) as client, progress() as watcher:
        resource = _put(session, client, document, file, no_wait, watcher)
        if all_traffic:
            watcher.step(OperationStep.ROUTING.sentence)
            change = client.online_endpoints.set_traffic(str(document["endpoint_name"]), {str(document["name"]): 100})
            session.wait_with_watcher(change, watcher, goes_on="the update of the traffic continues")
    show(resource, output)


@app.command()
def update(
    context: typer.Context,
    name: OptionalName = None,
    endpoint: OptionalEndpoint = None,
    file: File = None,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Update a deployment. The old workers serve until the new workers are ready."""
    changes = document_from(file, {"name": name, "endpoint_name": endpoint}, None, ONLINE_DEPLOYMENT)
    if not changes.get("name") or not changes.get("endpoint_name"):
        raise InvalidDocument("missing name or endpoint_name: write both into the file, or pass -n and -e")
    session = session_of(context)
    with session.client(file) as client, progress() as watcher:
        present = client.online_deployments.get(str(changes["endpoint_name"]), str(changes["name"]))
        document = document_from(None, merged(deployment_document(present), changes), settings, ONLINE_DEPLOYMENT)
        resource = _put(session, client, document, file, no_wait, watcher)
    show(resource, output)


@app.command("list")
def list_(context: typer.Context, endpoint: EndpointOfDeployment, output: OutputFormat = None) -> None:
    """List the deployments of an endpoint."""
    with session_of(context).client() as client:
        show_all(map(deployment_document, client.online_deployments.list(endpoint)), COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, endpoint: EndpointOfDeployment, output: OutputFormat = None) -> None:
    """Show a deployment."""
    with session_of(context).client() as client:
        show(deployment_document(client.online_deployments.get(endpoint, name)), output)


@app.command()
def delete(
    context: typer.Context, name: Name, endpoint: EndpointOfDeployment, yes: Yes = False, no_wait: NoWait = False
) -> None:
    """Delete a deployment."""
    session = session_of(context)
    confirm(f"Delete deployment {name} of endpoint {endpoint}?", yes)
    with session.client() as client:
        change = client.online_deployments.delete(endpoint, name)
        if not no_wait:
            session.wait(change, goes_on=f"the deletion of deployment {name} continues")


@app.command("get-logs")
def get_logs(
    context: typer.Context,
    name: Name,
    endpoint: EndpointOfDeployment,
    lines: Annotated[int, typer.Option("--lines", "-l", help="The number of last lines.")] = 50,
    container: Annotated[
        Container, typer.Option("--container", "-c", help="The output of the workers, or the build log.")
    ] = Container.INFERENCE_SERVER,
    follow: Annotated[bool, typer.Option("--follow", help="Print new lines until Ctrl-C.")] = False,
) -> None:
    """Print the logs of a deployment."""
    with session_of(context).client() as client:
        tail = _tail(client, endpoint, name, container, _FOLLOWED_LINES if follow else lines)
        if tail:
            write("\n".join(tail[-lines:]))
        elif container is Container.INFERENCE_SERVER and not follow:
            note("the workers have no output yet; for the build log: -c storage-initializer")
        if follow:
            _follow(client, endpoint, name, container, tail)


@app.command("show-script")
def show_script(context: typer.Context, name: Name, endpoint: EndpointOfDeployment) -> None:
    """Print the generated scoring script of a deployment."""
    with session_of(context).client() as client:
        write(client.online_deployments.scoring_script(endpoint, name).rstrip("\n"))


def _put(session: Session, client: Client, document: Document, file: File, no_wait: bool, watcher: Watcher) -> Document:
    change = client.put_deployment(document, folder_of(file), watcher)
    if no_wait:
        return deployment_document(change.resource)
    name, endpoint = str(document["name"]), str(document["endpoint_name"])
    session.wait_with_watcher(
        change,
        watcher,
        goes_on=f"the update of deployment {name} continues; "
        f"to see the state: modelyard online-deployment show -n {name} -e {endpoint}",
        on_failure=log_commands(name, endpoint),
    )
    return deployment_document(client.online_deployments.get(endpoint, name))


def _follow(client: Client, endpoint: str, name: str, container: Container, seen: Sequence[str]) -> None:
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(_FOLLOW_SECONDS)
            current = _tail(client, endpoint, name, container, _FOLLOWED_LINES)
            for line in new_lines(seen, current):
                write(line)
            seen = current or seen


def _tail(client: Client, endpoint: str, name: str, container: Container, lines: int) -> Sequence[str]:
    return client.online_deployments.logs(endpoint, name, lines=lines, container=container.arm).splitlines()


def new_lines(seen: Sequence[str], current: Sequence[str]) -> Sequence[str]:
    """Return the lines of `current` after the end of `seen`. Both are tails of one growing log."""
    if current[: len(seen)] == seen:
        return current[len(seen) :]
    anchor = seen[-_ANCHOR_LINES:]
    for end in range(len(current), len(anchor) - 1, -1):
        if current[end - len(anchor) : end] == anchor:
            return current[end:]
    return current
