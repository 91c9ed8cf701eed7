"""`modelyard batch-endpoint`."""

from typing import Annotated

import typer

from modelyard.cli.documents import document_from
from modelyard.cli.job import JOB_COLUMNS
from modelyard.cli.options import File, NoWait, OutputFormat, Settings, Yes, confirm
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import Session, session_of
from modelyard.client.client import Client
from modelyard.client.documents.batch_endpoint import BATCH_ENDPOINT
from modelyard.client.documents.batch_job import JOB_SETTINGS
from modelyard.client.documents.data import InputType
from modelyard.client.documents.identity import batch_endpoint_document
from modelyard.client.documents.job import job_document
from modelyard.client.documents.reading import Document, merged
from modelyard.client.errors import InvalidDocument
from modelyard.client.operations import Change
from modelyard.client.submitting import BatchInvocation, invoke_batch

app = typer.Typer(no_args_is_help=True, help="Names to send whole folders of files to: create, invoke, delete.")

Name = Annotated[str, typer.Option("--name", "-n", help="The endpoint's name.")]
OptionalName = Annotated[str | None, typer.Option("--name", "-n", help="The endpoint's name.", show_default=False)]

COLUMNS = (
    Column("Name", "name"),
    Column("State", "provisioning_state"),
    Column("Default deployment", "defaults.deployment_name"),
    Column("Scoring URI", "scoring_uri"),
)


@app.command()
def create(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Create a batch endpoint."""
    session = session_of(context)
    document = document_from(file, {"name": name}, settings, BATCH_ENDPOINT)
    with session.client() as client:
        _finish(session, client, document, client.put_batch_endpoint(document), no_wait, output)


@app.command()
def update(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    deployment: Annotated[
        str | None,
        typer.Option("--default-deployment", help="What scores when no deployment is named.", show_default=False),
    ] = None,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Change an endpoint: its default deployment, tags or description."""
    session = session_of(context)
    flags = {"name": name, "defaults": {"deployment_name": deployment} if deployment else None}
    changes = document_from(file, flags, None, BATCH_ENDPOINT)
    if not changes.get("name"):
        raise InvalidDocument("no name is given: write it into the file, or pass -n")
    with session.client() as client:
        present = batch_endpoint_document(client.batch_endpoints.get(str(changes["name"])))
        document = document_from(None, merged(present, changes), settings, BATCH_ENDPOINT)
        _finish(session, client, document, client.put_batch_endpoint(document), no_wait, output)


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the batch endpoints."""
    with session_of(context).client() as client:
        show_all(map(batch_endpoint_document, client.batch_endpoints.list()), COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Show a batch endpoint."""
    with session_of(context).client() as client:
        show(batch_endpoint_document(client.batch_endpoints.get(name)), output)


@app.command()
def delete(context: typer.Context, name: Name, yes: Yes = False, no_wait: NoWait = False) -> None:
    """Delete an endpoint and all its deployments. Its jobs and their predictions stay."""
    session = session_of(context)
    confirm(f"Delete batch endpoint {name} and all its deployments?", yes)
    with session.client() as client:
        change = client.batch_endpoints.delete(name)
        if not no_wait:
            session.wait(change, goes_on=f"the deletion of batch endpoint {name} goes on")


@app.command("list-jobs")
def list_jobs(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """List an endpoint's jobs, the newest first."""
    with session_of(context).client() as client:
        show_all(map(job_document, client.jobs.of_endpoint(name)), JOB_COLUMNS, output)


@app.command()
def invoke(
    context: typer.Context,
    name: Name,
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="FOLDER|FILE|URI",
            help="A path on this machine, azureml:<data>:<version>, or a URI in a data store.",
        ),
    ],
    input_type: Annotated[
        InputType | None, typer.Option(help="What a URI names, where it does not tell.", show_default=False)
    ] = None,
    deployment: Annotated[
        str | None, typer.Option("--deployment-name", "-d", help="Else the default one.", show_default=False)
    ] = None,
    output_path: Annotated[
        str | None,
        typer.Option(metavar="URI", help="A folder in a data store; else the job's own.", show_default=False),
    ] = None,
    mini_batch_size: Annotated[
        int | None, typer.Option("--mini-batch-size", "-m", help="Files at a time.", show_default=False)
    ] = None,
    instance_count: Annotated[
        int | None, typer.Option("--instance-count", "-c", help="How many at once.", show_default=False)
    ] = None,
    job_name: Annotated[str | None, typer.Option(help="Else the platform picks one.", show_default=False)] = None,
    experiment_name: Annotated[str | None, typer.Option(help="Else the endpoint's name.", show_default=False)] = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Score files: sends local ones first, begins a job and prints its name."""
    flags = {"mini_batch_size": mini_batch_size, "instance_count": instance_count}
    wish = BatchInvocation(
        endpoint=name,
        input=input_,
        input_type=input_type,
        deployment=deployment,
        output_path=output_path,
        job_name=job_name,
        experiment_name=experiment_name,
        settings=document_from(None, flags, settings, JOB_SETTINGS),
    )
    with session_of(context).client() as client:
        with progress() as watcher:
            job = invoke_batch(client, wish, watcher)
        if output is None:
            write(str(job["name"]))
            note(f"the job goes on by itself; watch it with: modelyard job stream -n {job['name']}")
        else:
            show(job_document(client.jobs.get(str(job["name"]))), output)


def _finish(
    session: Session, client: Client, document: Document, change: Change, no_wait: bool, output: OutputFormat
) -> None:
    name = str(document["name"])
    resource = change.resource
    if not no_wait:
        session.wait(change, goes_on=f"batch endpoint {name} is still being changed")
        resource = client.batch_endpoints.get(name)
    show(batch_endpoint_document(resource), output)
