"""`modelyard client-env`: the variables by which Azure's SDK and this client use the platform."""

import json
import shlex
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import typer

from modelyard.cli.output import write
from modelyard.cli.progress import note
from modelyard.cli.session import session_of
from modelyard.client.platform import DEFAULT_WORKSPACE, LOOPBACK, Platform, find_https_platform, find_platform


class EnvironmentFormat(StrEnum):
    SH = "sh"
    JSON = "json"


def client_env(
    context: typer.Context,
    form: Annotated[
        EnvironmentFormat, typer.Option("--format", help="Lines for a shell, or a JSON object.")
    ] = EnvironmentFormat.SH,
) -> None:
    """Print the variables that clients of the platform need. THE OUTPUT CONTAINS A SECRET: the platform's token.

    In a shell: eval "$(modelyard client-env)". Then MLClient(DefaultAzureCredential(), ...) of azure-ai-ml talks to the
    platform, and so do this command line and the Python client. The platform must be known by an https:// URL: start
    it with `modelyard up --tls`, or set MODELYARD_URL, MODELYARD_TOKEN and, for an authority of its own, SSL_CERT_FILE.
    """
    environment = session_of(context).environment
    platform = find_https_platform(environment)
    near = find_platform(environment)
    if urlsplit(near.url).hostname not in LOOPBACK:
        near = platform
        note("the platform must allow DefaultAzureCredential from other machines: MODELYARD_IDENTITY_CLIENTS=all")
    variables = _variables(platform, identity_url=near.url)
    if form is EnvironmentFormat.JSON:
        write(json.dumps(variables, indent=2))
        return
    names = f'"{platform.subscription}", "{platform.resource_group}", "{platform.workspace}"'
    write(f"# These lines contain a secret. MLClient(DefaultAzureCredential(), {names})")
    for name, value in variables.items():
        write(f"export {name}={shlex.quote(value)}")


def _variables(platform: Platform, *, identity_url: str) -> dict[str, str]:
    variables = {
        "ARM_CLOUD_METADATA_URL": f"{platform.url}/metadata/endpoints",
        "IDENTITY_ENDPOINT": f"{identity_url}/msi/token",
        "IDENTITY_HEADER": platform.token,
        "MODELYARD_URL": platform.url,
        "MODELYARD_TOKEN": platform.token,
    }
    if platform.certificates:
        # The file of the platform on this machine comes last, and holds the authorities of the machine too.
        variables |= dict.fromkeys(
            ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"), str(platform.certificates[-1])
        )
    if platform.workspace != DEFAULT_WORKSPACE:
        variables["MODELYARD_WORKSPACE"] = platform.workspace
    return variables
