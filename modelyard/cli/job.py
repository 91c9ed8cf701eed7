"""`modelyard job`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.job_display import files_failed_of, job_display
from modelyard.cli.options import NoWait, OutputFormat
from modelyard.cli.output import Column, show, show_all, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import Interrupted, session_of
from modelyard.client.client import Client
from modelyard.client.documents.job import job_document
from modelyard.client.job_progress import JobProgress

app = typer.Typer(no_args_is_help=True, help="Batch jobs: watch, cancel, get the predictions.")

Name = Annotated[str, typer.Option("--name", "-n", help="The job's name.")]


class Output(StrEnum):
    SCORE = "score"


JOB_COLUMNS = (
    Column("Name", "name"),
    Column("Endpoint", "endpoint_name"),
    Column("Deployment", "deployment_name"),
    Column("Status", "status"),
    Column("Created", "creation_context.created_at"),
)


@app.command("list")
def list_(context: typer.Context, output: OutputFormat = None) -> None:
    """List the jobs, the newest first."""
    with session_of(context).client() as client:
        show_all(map(job_document, client.jobs.list()), JOB_COLUMNS, output)


@app.command("show")
def show_(context: typer.Context, name: Name, output: OutputFormat = None) -> None:
    """Show a job and how far it is."""
    with session_of(context).client() as client:
        show(job_document(client.jobs.get(name)), output)


@app.command()
def stream(context: typer.Context, name: Name) -> None:
    """Watch a job until its predictions are there. The exit code is not 0 when it failed or was canceled."""
    with session_of(context).client() as client:
        progress = _watched(client, name)
    if not progress.is_completed:
        note(f"what was scored, and the logs: modelyard job download -n {name} --all")
        raise progress.failure
    if progress.files_failed:
        note(f"{files_failed_of(progress)}; errors.csv beside the predictions says why")
    note(f"the predictions are there; to get them: modelyard job download -n {name}")


@app.command()
def cancel(context: typer.Context, name: Name, no_wait: NoWait = False) -> None:
    """Stop a job. What it has finished is kept."""
    with session_of(context).client() as client:
        client.jobs.cancel(name)
        if not no_wait:
            _watched(client, name)


@app.command()
def download(
    context: typer.Context,
    name: Name,
    download_path: Annotated[Path, typer.Option("--download-path", "-p", help="Where to put the files.")] = Path(),
    output_name: Annotated[Output, typer.Option(help="As az calls a batch job's one output.")] = Output.SCORE,
    everything: Annotated[bool, typer.Option("--all", help="The job's logs too.")] = False,
) -> None:
    """Get a job's predictions. Prints where each file is."""
    with session_of(context).client() as client, progress() as watcher:
        watcher.step("downloading")
        files = client.jobs.download(name, download_path, watcher, logs=everything)
    for file in files:
        write(str(file))
    if not files:
        note("the job has written nothing that could be downloaded")


def _watched(client: Client, name: str) -> JobProgress:
    """The state in which a job ended."""
    with job_display(name) as display:
        try:
            for progress in client.jobs.follow(name):
                display(progress)
        except KeyboardInterrupt:
            raise Interrupted(
                f"job {name} goes on by itself; to watch it again: modelyard job stream -n {name}; "
                f"to stop it: modelyard job cancel -n {name}"
            ) from None
    return progress
