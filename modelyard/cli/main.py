"""`modelyard`: parse the arguments, run one command, and print every failure as one readable line."""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from modelyard.cli import (
    audit,
    batch_deployment,
    batch_endpoint,
    compute,
    config,
    data,
    datastore,
    environment,
    event,
    job,
    model,
    online_deployment,
    online_endpoint,
    token,
    workspace,
)
from modelyard.cli.backup import backup, restore
from modelyard.cli.client_env import client_env
from modelyard.cli.deploy import deploy
from modelyard.cli.session import Interrupted, Session
from modelyard.cli.status import status
from modelyard.cli.up import migrate, up
from modelyard.client.errors import ApiError, ClientError, ScoringError
from modelyard.core.errors import InvalidSetting, PlatformError

_DEBUG = "--debug"
_LOCAL = "--local"
_DOCKER_NOUNS = frozenset({"online-endpoint", "online-deployment"})
"""The nouns that az can run in a container on the user's own machine."""
_USAGE = 2
_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(deploy)
app.command()(status)
app.command()(up)
app.command()(migrate)
app.command("client-env")(client_env)
app.command()(backup)
app.command()(restore)
app.add_typer(model.app, name="model")
app.add_typer(online_endpoint.app, name="online-endpoint")
app.add_typer(online_deployment.app, name="online-deployment")
app.add_typer(batch_endpoint.app, name="batch-endpoint")
app.add_typer(batch_deployment.app, name="batch-deployment")
app.add_typer(compute.app, name="compute")
app.add_typer(job.app, name="job")
app.add_typer(data.app, name="data")
app.add_typer(datastore.app, name="datastore")
app.add_typer(environment.app, name="environment")
app.add_typer(event.app, name="event")
app.add_typer(token.app, name="token")
app.add_typer(audit.app, name="audit")
app.add_typer(workspace.app, name="workspace")
app.add_typer(config.app, name="config")


@app.callback()
def modelyard(
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Show HTTP requests and tracebacks. Allowed at any position.")
    ] = False,
) -> None:
    """Managed endpoints for MLflow models, on your own machine.

    Commands use the platform of MODELYARD_URL and MODELYARD_TOKEN, else the platform that you started last.
    """


def main() -> None:
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command. Returns the exit code: 0, 1 for a failure, 2 for wrong arguments."""
    debug = _DEBUG in arguments
    # az accepts --debug at any position, the parser only before the noun.
    words = [argument for argument in arguments if argument != _DEBUG]
    try:
        if _LOCAL in words and _DOCKER_NOUNS.intersection(words[:1]):
            raise typer.BadParameter(
                "--local starts a container with az; here, start a platform on this machine (`modelyard up`), "
                "and leave out --local"
            )
        return app(words, prog_name="modelyard", standalone_mode=False, obj=Session(environment, debug)) or 0
    except Exception as error:  # noqa: BLE001 - the edge: every error becomes one line and an exit code
        return _explain(error, debug)
    except KeyboardInterrupt:
        _say("interrupted")
        return _INTERRUPTED


def _explain(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    match error:
        case BrokenPipeError():
            # The reader of the output has gone. The interpreter must not print an error at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        case Interrupted():
            _say(str(error))
            return _INTERRUPTED
        case typer.Abort():
            _say("error: not confirmed; pass --yes to confirm in a script")
        case typer.TyperException():
            _say(f"error: {error.format_message()}")
            return _USAGE
        case InvalidSetting():
            _say(f"error: {error.message}")
            return _USAGE
        case ClientError() | PlatformError():
            _say(f"error: {error.message}", *_details(error))
        case _:
            words = " ".join(str(error).split())
            _say(f"error: {type(error).__name__}: {words} (a bug in modelyard; --debug shows the traceback)")
    return 1


def _details(error: ClientError | PlatformError) -> list[str]:
    match error:
        case ScoringError():
            return [f"  - {violation}" for violation in error.violations]
        case ApiError():
            return [f"  - {detail}" for detail in error.details if detail and detail not in error.message]
    return []


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
