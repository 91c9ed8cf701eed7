"""Prepare a start: wait for database, broker and object store, and upgrade the schema or wait for the upgrade.

    modelyard.supervisor.prepare (--migrate | --migrate-only | --wait-for-schema)

A separate process keeps the supervisor small. Reads MODELYARD_* variables. Standard output names the awaited server;
the last line of standard error has the reason of a failure. Exit codes: 0 all servers are ready, 1 a server is not
ready, 2 a setting is wrong.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from modelyard.core.adapters.object_stores import open_store
from modelyard.core.db.engine import create_engine
from modelyard.core.errors import InvalidRequest, InvalidSetting, PlatformError
from modelyard.core.ports.object_store import ObjectStore, StoreUnavailable, check_store
from modelyard.core.settings import Tunables
from modelyard.core.settings_variables import read_settings
from modelyard.supervisor.environment_settings import (
    ADMIN_TOKEN,
    BROKER_URL,
    DATABASE_URL,
    STORAGE_URL,
    server_address,
)
from modelyard.supervisor.prepare_broker import check_broker
from modelyard.supervisor.prepare_database import (
    check_schema,
    connect,
    connect_or_create,
    store_admin_token,
    upgrade_schema,
)
from modelyard.supervisor.start_deadline import NotReady, StartDeadline


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    settings = read_settings(Tunables, os.environ)
    deadline = StartDeadline(settings.start_patience, lambda line: print(line, flush=True))
    try:
        _prepare(options, os.environ, settings, deadline)
    except PlatformError as refusal:
        print(refusal.message, file=sys.stderr)
        return 2 if isinstance(refusal, InvalidSetting | InvalidRequest) else 1
    except ArgumentError:
        print(f"{DATABASE_URL} is not a database URL", file=sys.stderr)
        return 2
    return 0


def _prepare(
    options: argparse.Namespace, environment: Mapping[str, str], settings: Tunables, deadline: StartDeadline
) -> None:
    # A typo in the storage URL is reported before any server is asked.
    store = None if options.migrate_only else open_store(environment[STORAGE_URL], settings=settings.object_store)
    if options.wait_for_schema:
        _wait_for_schema(environment, deadline)
    else:
        _migrate(environment, deadline, replace_token=options.replace_token)
    if store is not None:
        broker_url = environment[BROKER_URL]
        deadline.wait_for(f"the broker at {server_address(broker_url)}", lambda: check_broker(broker_url))
        deadline.wait_for("the object store", lambda: _check_store(store))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard.supervisor.prepare")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--migrate", action="store_true", help="upgrade the schema, then check broker and object store")
    task.add_argument("--migrate-only", action="store_true", help="upgrade the schema, and check only the database")
    task.add_argument("--wait-for-schema", action="store_true", help="wait until another machine upgraded the schema")
    parser.add_argument("--replace-token", action="store_true", help="replace the admin token of the database")
    return parser


def _migrate(environment: Mapping[str, str], deadline: StartDeadline, *, replace_token: bool) -> None:
    url = environment[DATABASE_URL]
    deadline.wait_for(f"the database at {server_address(url)}", lambda: connect_or_create(url))
    with _engine(url) as engine:
        upgrade_schema(engine, url)
        if token := environment.get(ADMIN_TOKEN):
            store_admin_token(engine, token, replace=replace_token)


def _wait_for_schema(environment: Mapping[str, str], deadline: StartDeadline) -> None:
    url = environment[DATABASE_URL]
    deadline.wait_for(f"the database at {server_address(url)}", lambda: connect(url))
    with _engine(url) as engine:
        deadline.wait_for(f"the schema of the database at {server_address(url)}", lambda: check_schema(engine))


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _check_store(store: ObjectStore) -> None:
    try:
        check_store(store)
    except StoreUnavailable as error:
        raise NotReady(error.message) from None
