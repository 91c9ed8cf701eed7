"""`modelyard up` and `modelyard migrate`: run the platform, on a machine that has the server installed."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from modelyard.cli.session import session_of
from modelyard.client.errors import ClientError
from modelyard.core.data_dir import default_data_path
from modelyard.supervisor.options import UpOptions
from modelyard.supervisor.roles import ALL_ROLES, Role

# By name, because the supervisor needs the server's dependencies and Unix; the client needs neither.
_UP = "modelyard.supervisor.up:up"
_MIGRATE = "modelyard.supervisor.up:migrate"


class ServerNotInstalled(ClientError):
    pass


def up(
    context: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="The folder of all data (default: /var/lib/modelyard for root, else ~/.local/share/modelyard).",
            show_default=False,
        ),
    ] = None,
    role: Annotated[
        list[Role] | None,
        typer.Option(help="A part of the platform to run here; may repeat (default: all).", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port of the control plane; 0 picks a free port.")] = 8000,
    scoring_port: Annotated[int, typer.Option(help="The port of the scoring URLs; 0 picks a free port.")] = 8001,
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Serve https on --host too; the plain ports listen on the loopback address alone."),
    ] = False,
    tls_port: Annotated[int, typer.Option(help="With --tls: the https port of the control plane.")] = 8443,
    scoring_tls_port: Annotated[int, typer.Option(help="With --tls: the https port of the scoring URLs.")] = 8444,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            help="With --tls: a certificate chain in PEM format (default: signed by an authority in the data dir).",
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The key of --tls-certificate, in PEM format.", show_default=False)
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="The URL at which clients reach the control plane.", show_default=False),
    ] = None,
    scoring_public_url: Annotated[
        str | None,
        typer.Option(help="The URL at which clients reach the scoring port.", show_default=False),
    ] = None,
    builders: Annotated[int, typer.Option(min=0, max=64, help="Processes that build environments.")] = 2,
    gateways: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the scoring port.")] = 1,
    batch_workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=64,
            help="Processes that score batch jobs (default: one a core, at most 4).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the platform and keep it running until Ctrl-C."""
    run_platform = server_function(_UP)
    environment = session_of(context).environment
    options = UpOptions(
        data_dir=data_dir or default_data_path(environment),
        roles=frozenset(role) if role else ALL_ROLES,
        host=host,
        port=port,
        scoring_port=scoring_port,
        tls=tls,
        tls_port=tls_port,
        scoring_tls_port=scoring_tls_port,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        public_url=public_url,
        scoring_public_url=scoring_public_url,
        builders=builders,
        gateways=gateways,
        batch_workers=batch_workers,
        flags=given_flags(context),
    )
    raise typer.Exit(run_platform(options, environment))


def given_flags(context: typer.Context) -> frozenset[str]:
    """Return the names of the parameters that the command line gave."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return frozenset(name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE")


def migrate(context: typer.Context) -> None:
    """Migrate the database of MODELYARD_DATABASE_URL to the newest schema, and exit."""
    raise typer.Exit(server_function(_MIGRATE)(session_of(context).environment))


def server_function(name: str) -> Callable[..., Any]:
    if find_spec("control_plane") is None:
        raise ServerNotInstalled("the server of Modelyard is not installed: pip install 'modelyard[server]'")
    function: Callable[..., Any] = resolve_name(name)
    return function
