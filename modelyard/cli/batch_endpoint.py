"""`modelyard batch-endpoint`: endpoints that score files in jobs."""

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
from modelyard.client.documents.data import InputType
from modelyard.client.documents.identity import batch_endpoint_document
from modelyard.client.documents.job import JOB_SETTINGS, job_document
from modelyard.client.documents.reading import Document, merged, required
from modelyard.client.operations import Change
from modelyard.client.submitting import BatchInvocation, invoke_batch

app = typer.Typer(no_args_is_help=True, help="Endpoints for batch jobs: create, update, invoke, delete.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the endpoint.")]
OptionalName = Annotated[str | None, typer.Option("--name", "-n", help="The name of the endpoint.", show_default=False)]

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
    with session.client(file) as client:
        _finish(session, client, document, client.put_batch_endpoint(document), no_wait, output)


@app.command()
def update(
    context: typer.Context,
    name: OptionalName = None,
    file: File = None,
    deployment: Annotated[
        str | None,
        typer.Option(
            "--default-deployment", help="The deployment for jobs that name no deployment.", show_default=False
        ),
    ] = None,
    settings: Settings = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Update the default deployment, tags or description of an endpoint."""
    session = session_of(context)
    flags = {"name": name, "defaults": {"deployment_name": deployment} if deployment else None}
    changes = document_from(file, flags, None, BATCH_ENDPOINT)
    name = required(changes, "name", "-n")
    with session.client(file) as client:
        present = batch_endpoint_document(client.batch_endpoints.get(name))
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
    """Delete an endpoint with all deployments. Jobs and predictions stay."""
    session = session_of(context)
    confirm(f"Delete batch endpoint {name} with all deployments?", yes)
    with session.client() as client:
        change = client.batch_endpoints.delete(name)
        if not no_wait:
            session.wait(change, goes_on=f"the deletion of batch endpoint {name} continues")


@app.command("list-jobs")
def list_jobs(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """List the jobs of an endpoint, the newest first."""
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
            help="A local path, azureml:<data>:<version>, or a URI in a data store.",
        ),
    ],
    input_type: Annotated[
        InputType | None,
        typer.Option(help="Whether --input is a file or a folder (default: guessed from the URI).", show_default=False),
    ] = None,
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment-name",
            "-d",
            help="The deployment that scores (default: the endpoint's default deployment).",
            show_default=False,
        ),
    ] = None,
    output_path: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="A folder or file in a data store for the predictions (default: a folder of the job).",
            show_default=False,
        ),
    ] = None,
    mini_batch_size: Annotated[
        int | None,
        typer.Option("--mini-batch-size", "-m", help="The number of files in a mini-batch.", show_default=False),
    ] = None,
    instance_count: Annotated[
        int | None, typer.Option("--instance-count", "-c", help="The number of workers.", show_default=False)
    ] = None,
    job_name: Annotated[
        str | None, typer.Option(help="The name of the job (default: a new name).", show_default=False)
    ] = None,
    experiment_name: Annotated[
        str | None, typer.Option(help="The experiment of the job (default: the endpoint's name).", show_default=False)
    ] = None,
    settings: Settings = None,
    output: OutputFormat = None,
) -> None:
    """Start a job that scores files, and print the name of the job. Local files are uploaded first."""
    flags = {"mini_batch_size": mini_batch_size, "instance_count": instance_count}
    invocation = BatchInvocation(
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
            job = invoke_batch(client, invocation, watcher)
        if output is None:
            write(str(job["name"]))
            note(f"the job continues in the background; to watch: modelyard job stream -n {job['name']}")
        else:
            show(job_document(client.jobs.get(str(job["name"]))), output)


def _finish(
    session: Session, client: Client, document: Document, change: Change, no_wait: bool, output: OutputFormat
) -> None:
    name = str(document["name"])
    resource = change.resource
    if not no_wait:
        session.wait(change, goes_on=f"the update of batch endpoint {name} continues")
        resource = client.batch_endpoints.get(name)
    show(batch_endpoint_document(resource), output)
