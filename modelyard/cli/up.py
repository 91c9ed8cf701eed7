"""`modelyard up` and `modelyard migrate`: the platform itself, where its server parts are installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.session import session_of
from modelyard.client.errors import ClientError
from modelyard.core.data_dir import default_data_path
from modelyard.supervisor.roles import ALL_ROLES, Role

_SERVER_PARTS = ("fastapi", "sqlalchemy", "celery", "uvicorn")


class ServerPartsMissing(ClientError):
    pass


def up(
    context: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept; else a folder of the user's.", show_default=False)
    ] = None,
    role: Annotated[
        list[Role] | None,
        typer.Option(help="What this machine runs of the platform, repeatable; else all.", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The control plane's; 0 picks one.")] = 8000,
    scoring_port: Annotated[int, typer.Option(help="The scoring URLs'; 0 picks one.")] = 8001,
    public_url: Annotated[
        str | None, typer.Option(help="How clients reach the control plane.", show_default=False)
    ] = None,
    scoring_public_url: Annotated[
        str | None, typer.Option(help="How clients reach the scoring URLs.", show_default=False)
    ] = None,
    builders: Annotated[int, typer.Option(min=0, max=64, help="Processes that build environments.")] = 2,
    gateways: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the scoring port.")] = 1,
    batch_workers: Annotated[
        int | None,
        typer.Option(
            min=0, max=64, help="Processes that score batch jobs; else one a core, at most 4.", show_default=False
        ),
    ] = None,
) -> None:
    """Start the platform and keep it running until Ctrl-C."""
    _check_server_parts()
    # Only here: it runs on Unix alone, and the client everywhere.
    from modelyard.supervisor.options import UpOptions
    from modelyard.supervisor.up import up as run_platform

    environment = session_of(context).environment
    options = UpOptions(
        data_dir=data_dir or default_data_path(environment),
        roles=frozenset(role) if role else ALL_ROLES,
        host=host,
        port=port,
        scoring_port=scoring_port,
        public_url=public_url,
        scoring_public_url=scoring_public_url,
        builders=builders,
        gateways=gateways,
        batch_workers=batch_workers,
    )
    raise typer.Exit(run_platform(options, environment))


def migrate(context: typer.Context) -> None:
    """Bring the database that MODELYARD_DATABASE_URL names up to date, and end."""
    _check_server_parts()
    from modelyard.supervisor.up import migrate as run_migrations

    raise typer.Exit(run_migrations(session_of(context).environment))


def _check_server_parts() -> None:
    """`pip install modelyard` is the client alone."""
    missing = [name for name in _SERVER_PARTS if find_spec(name) is None]
    if missing:
        raise ServerPartsMissing(
            f"the platform's server parts are not installed ({', '.join(missing)}): pip install 'modelyard[server]'"
        )
