"""Run once at each start, before anything else uses them: are database, broker and store there, and ready for us?

    python -m modelyard.supervisor.prepare (--migrate | --migrate-only | --wait-for-schema)

A process of its own, so that the supervisor stays small. Reads MODELYARD_* settings. What it waits for is printed;
the last line of standard error says why it gave up. Exit codes: 0 all is there, 1 it is not, 2 a setting is wrong.
"""

import argparse
import os
import sys
from collections.abc import Mapping

from sqlalchemy.exc import ArgumentError

from modelyard.core.adapters.object_stores import open_store
from modelyard.core.db.unit_of_work import open_database
from modelyard.core.errors import InvalidRequest, InvalidSetting, PlatformError
from modelyard.core.ports.object_store import ObjectStore, StoreUnavailable, check_store
from modelyard.supervisor.environment_settings import (
    ADMIN_TOKEN,
    BROKER_URL,
    DATABASE_URL,
    START_PATIENCE,
    STORAGE_URL,
    place_of,
)
from modelyard.supervisor.patience import NotYet, Patience
from modelyard.supervisor.prepare_broker import check_broker
from modelyard.supervisor.prepare_database import (
    bring_up_to_date,
    reach,
    reach_or_make,
    store_admin_token,
    wait_for_schema,
)


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    patience = Patience(float(os.environ[START_PATIENCE]), lambda line: print(line, flush=True))
    try:
        _prepare(options, os.environ, patience)
    except PlatformError as refusal:
        print(refusal.message, file=sys.stderr)
        return 2 if isinstance(refusal, InvalidSetting | InvalidRequest) else 1
    except ArgumentError:
        print(f"{DATABASE_URL} cannot be read as a database URL", file=sys.stderr)
        return 2
    return 0


def _prepare(options: argparse.Namespace, environment: Mapping[str, str], patience: Patience) -> None:
    # A typo in its URL is said before anybody is asked anything.
    store = None if options.migrate_only else open_store(environment[STORAGE_URL])
    if options.wait_for_schema:
        _wait_for_schema(environment, patience)
    else:
        _migrate(environment, patience, replace_token=options.replace_token)
    if store is not None:
        _reach_broker(environment, patience)
        patience.wait_for("the object store", lambda: _check_store(store))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modelyard.supervisor.prepare")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--migrate", action="store_true", help="bring the schema up to date")
    what.add_argument("--migrate-only", action="store_true", help="and ask nobody but the database")
    what.add_argument("--wait-for-schema", action="store_true", help="until somebody else has brought it up to date")
    parser.add_argument("--replace-token", action="store_true", help="whatever admin token the database has")
    return parser


def _migrate(environment: Mapping[str, str], patience: Patience, *, replace_token: bool) -> None:
    url = environment[DATABASE_URL]
    patience.wait_for(f"the database at {place_of(url)}", lambda: reach_or_make(url))
    engine = open_database(url)
    bring_up_to_date(engine, url)
    if token := environment.get(ADMIN_TOKEN):
        store_admin_token(engine, token, replace=replace_token)


def _wait_for_schema(environment: Mapping[str, str], patience: Patience) -> None:
    url = environment[DATABASE_URL]
    patience.wait_for(f"the database at {place_of(url)}", lambda: reach(url))
    engine = open_database(url)
    patience.wait_for(f"the schema of the database at {place_of(url)}", lambda: wait_for_schema(engine))


def _reach_broker(environment: Mapping[str, str], patience: Patience) -> None:
    url = environment[BROKER_URL]
    patience.wait_for(f"the broker at {place_of(url)}", lambda: check_broker(url))


def _check_store(store: ObjectStore) -> None:
    try:
        check_store(store)
    except StoreUnavailable as error:
        raise NotYet(error.message) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
