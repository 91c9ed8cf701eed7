"""Requests while the database or the broker does not answer."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from control_plane.dependencies import BrokerCheck, DatabaseCheck, Dependencies, Dependency, Refused
from modelyard.core.db.unit_of_work import transaction
from modelyard.process.heartbeat import Heartbeat
from tests.control_plane.control import Control, anonymous


class Server:
    """A server that answers, or not."""

    failure: Exception | None = None

    def ask(self) -> None:
        if self.failure is not None:
            raise self.failure


def away(name: str, failure: Exception) -> Dependency:
    server = Server()
    server.failure = failure
    dependency = Dependency(name, server.ask, Heartbeat(None))
    dependency.look()
    return dependency


class TestHealth:
    def test_health_of_a_platform_whose_servers_answer_is_healthy(self, control: Control):
        assert anonymous.get(f"{control.url}/health").json() == {"status": "healthy", "unavailable": []}

    def test_health_is_degraded_and_names_the_broker_while_requests_are_served(self, make_control):
        control = make_control(dependencies=Dependencies(broker=away("broker", ConnectionError("refused"))))
        state = anonymous.get(f"{control.url}/health")
        assert state.status_code == 200
        assert state.json()["status"] == "degraded"
        assert [each["name"] for each in state.json()["unavailable"]] == ["broker"]
        assert control.ask("GET", "/models").status_code == 200

    def test_health_does_not_show_the_servers_words(self, make_control):
        control = make_control(dependencies=Dependencies(away("database", Refused("FATAL: password of host x"))))
        assert "password" not in anonymous.get(f"{control.url}/health").text


class TestRequests:
    @pytest.mark.parametrize("path", ["/models", "//ready"])
    def test_request_gets_503_at_once_while_the_database_is_away(self, make_control, path: str):
        control = make_control(dependencies=Dependencies(away("database", TimeoutError("no answer"))))
        answer = control.ask("GET", path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "database" in answer.json()["error"]["message"]

    def test_requests_that_wait_for_the_database_get_503_once_it_is_known_to_be_away(self, make_control, sessions):
        server = Server()
        database = Dependency("database", server.ask, Heartbeat(None))
        control: Control = make_control(dependencies=Dependencies(database))
        control.get("/models")
        with transaction(sessions) as work:
            work.session.execute(text("LOCK TABLE models IN ACCESS EXCLUSIVE MODE"))
            with ThreadPoolExecutor(60) as clients:
                asked = [clients.submit(control.ask, "GET", "/models") for _ in range(60)]
                time.sleep(0.5)
                server.failure = TimeoutError("no answer")
                database.look()
                assert {each.result(5).status_code for each in asked} == {503}
        server.failure = None
        database.look()
        control.get("/models")


class TestChecks:
    def test_database_that_answers_passes(self, database_url):
        with closing(DatabaseCheck(database_url, 3.0)) as check:
            check()
            check()

    def test_database_that_breaks_the_connection_and_answers_again_passes(self, database_url, own_engine):
        with closing(DatabaseCheck(database_url, 3.0)) as check:
            check()
            with own_engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                    )
                )
            check()

    def test_database_that_refuses_is_told_apart_from_a_silent_one(self, database_url):
        with closing(DatabaseCheck(database_url.replace("/test_", "/missing_"), 3.0)) as check, pytest.raises(Refused):
            check()
        with (
            closing(DatabaseCheck("postgresql+psycopg://user:s3cret@127.0.0.1:1/x", 3.0)) as check,
            pytest.raises(OperationalError, match="refused"),
        ):
            check()

    def test_broker_that_answers_passes_and_a_closed_port_does_not(self, broker_url):
        with closing(BrokerCheck(broker_url, 3.0)) as check:
            check()
            check()
        with closing(BrokerCheck("redis://127.0.0.1:1/0", 3.0)) as check, pytest.raises(Exception, match="refused"):
            check()


def test_servers_are_asked_all_the_time_and_beat(tmp_path):
    servers: dict[str, Callable[[], None]] = {"database": lambda: None, "broker": lambda: None}
    asked = {name: threading.Event() for name in servers}
    dependencies = Dependencies(*(Dependency(name, asked[name].set, Heartbeat(tmp_path / name)) for name in servers))
    dependencies.start(Heartbeat(tmp_path / "dependencies"))
    assert all(event.wait(10) for event in asked.values())
    assert {file.name for file in tmp_path.iterdir()} == {"database", "broker", "dependencies"}
