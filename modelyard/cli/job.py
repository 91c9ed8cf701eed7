"""`modelyard job`: batch jobs."""

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

app = typer.Typer(no_args_is_help=True, help="Batch jobs: list, watch, cancel, download predictions.")

Name = Annotated[str, typer.Option("--name", "-n", help="The name of the job.")]


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
    """Show a job with its progress."""
    with session_of(context).client() as client:
        show(job_document(client.jobs.get(name)), output)


@app.command()
def stream(context: typer.Context, name: Name) -> None:
    """Watch a job until the end. The exit code is 1 for a failed or canceled job."""
    with session_of(context).client() as client:
        progress = _watched(client, name)
    if not progress.is_completed:
        note(f"to get the logs and the finished predictions: modelyard job download -n {name} --all")
        raise progress.failure
    if progress.files_failed:
        note(f"{files_failed_of(progress)}; the reasons are in errors.csv beside the predictions")
    note(f"the predictions are complete; to get the files: modelyard job download -n {name}")


@app.command()
def cancel(context: typer.Context, name: Name, no_wait: NoWait = False) -> None:
    """Cancel a job. Finished predictions stay."""
    with session_of(context).client() as client:
        client.jobs.cancel(name)
        if not no_wait:
            _watched(client, name)


@app.command()
def download(
    context: typer.Context,
    name: Name,
    download_path: Annotated[Path, typer.Option("--download-path", "-p", help="The folder for the files.")] = Path(),
    output_name: Annotated[
        Output, typer.Option(help="The output of the job; batch jobs have one output, score.")
    ] = Output.SCORE,
    everything: Annotated[bool, typer.Option("--all", help="Download the logs too.")] = False,
) -> None:
    """Download the predictions of a job, and print the paths."""
    with session_of(context).client() as client, progress() as watcher:
        watcher.step("downloading")
        files = client.jobs.download(name, download_path, watcher, logs=everything)
    for file in files:
        write(str(file))
    if not files:
        note("the job has no files to download yet")


def _watched(client: Client, name: str) -> JobProgress:
    """Return the final state of a job."""
    with job_display(name) as display:
        try:
            for progress in client.jobs.follow(name):
                display(progress)
        except KeyboardInterrupt:
            raise Interrupted(
                f"job {name} continues in the background; to watch again: modelyard job stream -n {name}; "
                f"to stop the job: modelyard job cancel -n {name}"
            ) from None
    return progress
