"""`modelyard deploy ./model`: the whole way in one command."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.options import NoWait, OutputFormat
from modelyard.cli.output import Output, show, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import Interrupted, session_of, where_the_story_is
from modelyard.client.deploying import Deployed, FolderDeployment, deploy_folder, endpoint_name_for
from modelyard.client.errors import ApiError


def deploy(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An MLflow model folder.")],
    endpoint: Annotated[
        str | None, typer.Option("--endpoint-name", "-e", help="Else named like the folder.", show_default=False)
    ] = None,
    deployment: Annotated[str, typer.Option("--deployment-name", "-d", help="The deployment's name.")] = "default",
    instance_count: Annotated[
        int | None, typer.Option(min=1, help="How many workers serve it.", show_default=False)
    ] = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Register a model folder and serve it: prints the URL, the key and a request to try.

    Called again, it brings the endpoint to the folder's present content.
    """
    wish = FolderDeployment(folder, endpoint or endpoint_name_for(folder), deployment, instance_count, wait=not no_wait)
    with session_of(context).client() as client, progress() as watcher:
        try:
            deployed = deploy_folder(client, wish, watcher)
        except KeyboardInterrupt:
            raise Interrupted("what was begun goes on in the background; see it with: modelyard status") from None
        except ApiError as error:
            if error.status is None:
                watcher.note(where_the_story_is(wish.deployment, wish.endpoint))
            raise
    if no_wait:
        note("the deployment goes on in the background; see it with: modelyard status")
    if not deployed.changed:
        note(f"endpoint {wish.endpoint} serves this very model already")
    if deployed.example is None:
        note("the model has no input example and no signature: put its input under input_data")
    _show(deployed, output)


def curl_line(deployed: Deployed) -> str:
    body: Mapping[str, Any] = deployed.example or {"input_data": []}
    return (
        f"curl {shlex.quote(deployed.scoring_uri)} -H 'Authorization: Bearer {deployed.key}' "
        f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def _show(deployed: Deployed, output: Output | None) -> None:
    if output is not None:
        show({"scoring_uri": deployed.scoring_uri, "key": deployed.key, "curl": curl_line(deployed)}, output)
        return
    write(f"url  {deployed.scoring_uri}\nkey  {deployed.key}\n\n{curl_line(deployed)}")
