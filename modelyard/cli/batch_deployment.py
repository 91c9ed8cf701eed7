"""`modelyard batch-deployment`: deployments of batch endpoints."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.documents import document_from, folder_of
from modelyard.cli.job import JOB_COLUMNS
from modelyard.cli.options import EndpointOfDeployment, File, NoWait, OutputFormat, Settings, Yes, confirm
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import Session, session_of
from modelyard.client.client import Client
from modelyard.client.documents.batch_deployment import BATCH_DEPLOYMENT
from modelyard.client.documents.identity import batch_deployment_document
from modelyard.client.documents.job import job_document
from modelyard.client.documents.reading import Document, merged
from modelyard.client.errors import InvalidDocument
from modelyard.client.watching import Watcher

app = typer.Typer(no_args_is_help=True, help="Models of batch endpoints: create, update, get logs, delete.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the deployment.")]
OptionalName = Annotated[
    str | None, typer.Option("--name", "-n", help="The name of the deployment.", show_default=False)
]
OptionalEndpoint = Annotated[
    str | None, typer.Option("--endpoint-name", "-e", help="The endpoint of the deployment.", show_default=False)
]
SetDefault = Annotated[
    bool, typer.Option("--set-default", help="Make the deployment the endpoint's default, once built.")
]

COLUMNS = (
    Column("Name", "name"),
    Column("Endpoint", "endpoint_name"),
    Column("State", "provisioning_state"),
    Column("Model", "model"),
    Column("Instances", "resources.instance_count"),
    Column("Mini-batch", "settings.mini_batch_size"),
)


@app.command()
def create(
    context: typer.Context,
    file: File = None,
    name: OptionalName = None,
    endpoint: OptionalEndpoint = None,
    set_default: SetDefault = False,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Create a deployment: register an inline model and build the environment. Workers start with the jobs."""
    _check_set_default(set_default, no_wait)
    document = document_from(file, {"name": name, "endpoint_name": endpoint}, settings, BATCH_DEPLOYMENT)
    session = session_of(context)
    with session.client(file) as client, progress() as watcher:
        resource = _put(session, client, document, file, no_wait, watcher)
        if set_default:
            _set_default(session, client, document, watcher)
    show(resource, output)


@app.command()
def update(
    context: typer.Context,
    name: OptionalName = None,
    endpoint: OptionalEndpoint = None,
    file: File = None,
    set_default: SetDefault = False,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Update a deployment. Running jobs keep the old settings."""
    _check_set_default(set_default, no_wait)
    changes = document_from(file, {"name": name, "endpoint_name": endpoint}, None, BATCH_DEPLOYMENT)
    if not changes.get("name") or not changes.get("endpoint_name"):
        raise InvalidDocument("missing name or endpoint_name: write both into the file, or pass -n and -e")
    session = session_of(context)
    with session.client(file) as client, progress() as watcher:
        present = client.batch_deployments.get(str(changes["endpoint_name"]), str(changes["name"]))
        document = document_from(None, merged(batch_deployment_document(present), changes), settings, BATCH_DEPLOYMENT)
        resource = _put(session, client, document, file, no_wait, watcher)
        if set_default:
            _set_default(session, client, document, watcher)
    show(resource, output)


@app.command("list")
def list_(context: typer.Context, endpoint: EndpointOfDeployment, output: OutputFormat = None) -> None:
    """List the deployments of an endpoint."""
    with session_of(context).client() as client:
        show_all(map(batch_deployment_document, client.batch_deployments.list(endpoint)), COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, endpoint: EndpointOfDeployment, output: OutputFormat = None) -> None:
    """Show a deployment."""
    with session_of(context).client() as client:
        show(batch_deployment_document(client.batch_deployments.get(endpoint, name)), output)


@app.command()
def delete(
    context: typer.Context, name: Name, endpoint: EndpointOfDeployment, yes: Yes = False, no_wait: NoWait = False
) -> None:
    """Delete a deployment. Jobs and predictions stay."""
    session = session_of(context)
    confirm(f"Delete deployment {name} of endpoint {endpoint}?", yes)
    with session.client() as client:
        change = client.batch_deployments.delete(endpoint, name)
        if not no_wait:
            session.wait(change, goes_on=f"the deletion of deployment {name} continues")


@app.command("list-jobs")
def list_jobs(context: typer.Context, name: Name, endpoint: EndpointOfDeployment, output: OutputFormat = None) -> None:
    """List the jobs of a deployment, the newest first."""
    with session_of(context).client() as client:
        show_all(map(job_document, client.jobs.of_endpoint(endpoint, name)), JOB_COLUMNS, output)


@app.command("get-logs")
def get_logs(
    context: typer.Context,
    name: Name,
    endpoint: EndpointOfDeployment,
    lines: Annotated[int, typer.Option("--lines", "-l", help="The number of last lines.")] = 50,
) -> None:
    """Print the build log. The output of the model is in the logs of the jobs: modelyard job download --all."""
    with session_of(context).client() as client:
        log = client.batch_deployments.build_log(endpoint, name, lines=lines)
    if log:
        write(log.rstrip("\n"))
    else:
        note("there is no build log: the environment existed already, or the build has not started")


def _put(
    session: Session, client: Client, document: Document, file: Path | None, no_wait: bool, watcher: Watcher
) -> Document:
    change = client.put_batch_deployment(document, folder_of(file), watcher)
    if no_wait:
        return batch_deployment_document(change.resource)
    name, endpoint = str(document["name"]), str(document["endpoint_name"])
    session.wait_with_watcher(
        change,
        watcher,
        goes_on=f"the build of deployment {name} continues; "
        f"to see the state: modelyard batch-deployment show -n {name} -e {endpoint}",
        on_failure=f"the build log: modelyard batch-deployment get-logs -n {name} -e {endpoint} -l 500",
    )
    return batch_deployment_document(client.batch_deployments.get(endpoint, name))


def _check_set_default(set_default: bool, no_wait: bool) -> None:
    if set_default and no_wait:
        raise typer.BadParameter("--set-default waits for the build: leave out --no-wait")


def _set_default(session: Session, client: Client, document: Document, watcher: Watcher) -> None:
    change = client.batch_endpoints.set_default(str(document["endpoint_name"]), str(document["name"]))
    session.wait_with_watcher(change, watcher, goes_on="the update of the endpoint continues")
