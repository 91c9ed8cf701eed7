"""`modelyard deploy ./model`: from a model folder to a scoring URL in one command."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.options import NoWait, OutputFormat
from modelyard.cli.output import Output, show, write
from modelyard.cli.progress import note, progress
from modelyard.cli.session import Interrupted, log_commands, session_of
from modelyard.client.deploying import Deployed, FolderDeployment, deploy_folder, endpoint_name_for
from modelyard.client.errors import ApiError
from modelyard.client.scoring import DEPLOYMENT_HEADER


def deploy(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An MLflow model folder.")],
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint-name", "-e", help="The endpoint (default: named like the folder).", show_default=False
        ),
    ] = None,
    deployment: Annotated[str, typer.Option("--deployment-name", "-d", help="The name of the deployment.")] = "default",
    instance_count: Annotated[
        int | None, typer.Option(min=1, help="The number of workers.", show_default=False)
    ] = None,
    no_wait: NoWait = False,
    output: OutputFormat = None,
) -> None:
    """Register and deploy a model folder, and print the URL, the key and a request to try.

    Run the command again to deploy changes of the folder.
    """
    spec = FolderDeployment(folder, endpoint or endpoint_name_for(folder), deployment, instance_count, wait=not no_wait)
    with session_of(context).client() as client, progress() as watcher:
        try:
            deployed = deploy_folder(client, spec, watcher)
        except KeyboardInterrupt:
            raise Interrupted(
                "the deployment continues in the background; to see the state: modelyard status"
            ) from None
        except ApiError as error:
            if error.status is None:
                watcher.note(log_commands(spec.deployment, spec.endpoint))
            raise
    if no_wait:
        note("the deployment continues in the background; to see the state: modelyard status")
        note("for a request to try, run the command again when the deployment is ready")
    elif deployed.example is None:
        note("the model has no short input example and no signature: put the input under input_data")
    if not deployed.changed:
        note(f"nothing changed: endpoint {spec.endpoint} serves the same model already")
    _show(deployed, output)


def curl_line(deployed: Deployed) -> str:
    body: Mapping[str, Any] = deployed.example or {"input_data": []}
    headers = [f"Authorization: Bearer {deployed.key}", "Content-Type: application/json"]
    if deployed.named:
        headers.append(f"{DEPLOYMENT_HEADER}: {deployed.named}")
    options = " ".join(f"-H {shlex.quote(header)}" for header in headers)
    return f"curl {shlex.quote(deployed.scoring_uri)} {options} -d {shlex.quote(_json(body))}"


def _json(body: Mapping[str, Any]) -> str:
    """JSON for a terminal: with escapes where the terminal's encoding or a control character would change the text."""
    text = json.dumps(body, ensure_ascii=False)
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return text if is_utf8 and text.isprintable() else json.dumps(body)


def _show(deployed: Deployed, output: Output | None) -> None:
    if output is not None:
        show({"scoring_uri": deployed.scoring_uri, "key": deployed.key, "curl": curl_line(deployed)}, output)
        return
    write(f"url  {deployed.scoring_uri}\nkey  {deployed.key}\n\n{curl_line(deployed)}")
