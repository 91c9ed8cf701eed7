"""Wrong tokens are cheap to refuse, limited per address and subject, and never lock out a valid token."""

import threading
import time

import pytest
from sqlalchemy import delete, select

from control_plane.web import password_verifier
from control_plane.web.failure_limits import FailureLimits
from modelyard.core.adapters.secret_box import digest_token
from modelyard.core.db.rows import AdminTokenRow
from modelyard.core.domain.access_tokens import token_digest
from modelyard.core.settings import ControlPlaneSettings
from modelyard.supervisor.prepare_database import store_admin_token
from tests.control_plane.colleagues import ask_as, make_token
from tests.control_plane.control import TOKEN, Control, concurrently, error_of

_LIMIT = 5


@pytest.fixture
def strict(make_control) -> Control:
    """A control plane that takes few failures of an address."""
    return make_control(control_plane=ControlPlaneSettings(failed_authentications_per_minute=_LIMIT))


def wrong_tokens(control: Control, times: int, path: str = "") -> list[int]:
    return [ask_as(f"wrong-{number}", control, "GET", path).status_code for number in range(times)]


class TestLimits:
    def test_address_over_the_limit_is_429_and_its_valid_tokens_work(self, strict):
        ada = make_token(strict, "ada", "reader")
        assert wrong_tokens(strict, _LIMIT + 3) == [401] * _LIMIT + [429] * 3
        answer = ask_as("wrong", strict, "GET", "")
        assert error_of(answer, 429)["code"] == "TooManyRequests"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60 / _LIMIT
        assert ask_as(ada, strict, "GET", "").status_code == 200
        assert ask_as(TOKEN, strict, "GET", "").status_code == 200

    def test_token_made_while_the_address_is_over_the_limit_works_at_once(self, strict):
        wrong_tokens(strict, _LIMIT + 1)
        assert ask_as(make_token(strict, "ada", "reader"), strict, "GET", "").status_code == 200

    def test_failures_on_the_keys_of_an_endpoint_leave_the_valid_key_alone(self, strict):
        strict.batch_endpoint("be-one")
        key = strict.post("/batchEndpoints/be-one/listKeys")["primaryKey"]
        statuses = wrong_tokens(strict, _LIMIT + 1, "//batch/be-one/jobs/none")
        assert statuses == [401] * _LIMIT + [429]
        assert ask_as(key, strict, "GET", "//batch/be-one/jobs/none").status_code == 404

    def test_bucket_fills_up_again_with_the_time(self):
        now = [0.0]
        limits = FailureLimits(60, clock=lambda: now[0])
        for _ in range(60):
            assert limits.retry_after_seconds("a") is None
            limits.note_failure("a")
        assert limits.retry_after_seconds("a") == 1
        assert limits.retry_after_seconds("b") is None
        assert limits.retry_after_seconds("b", "a") == 1
        now[0] = 1.0
        assert limits.retry_after_seconds("a") is None

    def test_flood_from_many_addresses_keeps_memory_bounded(self):
        limits = FailureLimits(60)
        for number in range(20_000):
            limits.note_failure(str(number))
        assert len(limits._buckets) <= 10_000


class TestFlood:
    def test_flood_of_wrong_tokens_costs_no_scrypt_and_few_reads_while_valid_requests_go_on(
        self, make_control, monkeypatch
    ):
        control: Control = make_control(control_plane=ControlPlaneSettings(failed_authentications_per_minute=1_000_000))
        reads = []
        table = control.services.verifier._table
        load = table._load
        monkeypatch.setattr(table, "_load", lambda: reads.append(1) or load())
        monkeypatch.setattr(password_verifier, "token_matches", _refuse_to_compute)
        ada = make_token(control, "ada", "reader")
        stop = threading.Event()
        statuses: list[int] = []

        def flood() -> None:
            while not stop.is_set():
                statuses.append(ask_as(f"modelyard_{len(statuses):043}", control, "GET", "").status_code)

        threads = [threading.Thread(target=flood) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        valid = [ask_as(ada, control, "GET", "").status_code for _ in range(40)]
        while len(statuses) < 8 * 3:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        assert valid == [200] * 40
        assert set(statuses) == {401}
        assert len(reads) <= (time.monotonic() - began) / 0.25 + 3


def _refuse_to_compute(*_: str) -> bool:
    raise AssertionError("a slow digest was computed")


class TestShortAdminToken:
    """A preset admin token may be short, so its digest stays slow."""

    @pytest.fixture
    def short(self, strict) -> Control:
        with strict.sessions.begin() as session:
            session.execute(delete(AdminTokenRow))
            session.add(AdminTokenRow(digest=digest_token("short")))
        strict.services.verifier.credentials_changed()
        return strict

    def test_first_requests_at_the_same_time_share_one_check(self, short, monkeypatch):
        checks = []
        matches = password_verifier.token_matches
        monkeypatch.setattr(password_verifier, "token_matches", lambda *pair: checks.append(1) or matches(*pair))
        assert concurrently(6, lambda: ask_as("short", short, "GET", "").status_code) == [200] * 6
        assert ask_as("short", short, "GET", "").status_code == 200
        assert len(checks) == 1

    def test_verified_token_works_while_the_address_is_over_the_limit(self, short):
        assert ask_as("short", short, "GET", "").status_code == 200
        assert set(wrong_tokens(short, _LIMIT + 2)) == {401, 429}
        assert ask_as("short", short, "GET", "").status_code == 200

    def test_replaced_token_is_401_although_it_was_verified(self, short):
        assert ask_as("short", short, "GET", "").status_code == 200
        with short.sessions.begin() as session:
            session.execute(delete(AdminTokenRow))
            session.add(AdminTokenRow(digest=digest_token("brief")))
        short.services.verifier.credentials_changed()
        assert ask_as("short", short, "GET", "").status_code == 401
        assert ask_as("brief", short, "GET", "").status_code == 200


class TestStoring:
    def test_generated_token_is_stored_with_a_fast_digest_and_a_short_token_with_a_slow_digest_alone(self, engine):
        long = "x" * 43
        for token, sha256 in ((long, token_digest(long)), ("short", None)):
            store_admin_token(engine, token, replace=True)
            with engine.connect() as connection:
                assert connection.scalars(select(AdminTokenRow.sha256)).all() == [sha256]

    def test_token_of_an_earlier_release_gets_its_fast_digest_at_the_next_start(self, engine, sessions):
        long = "y" * 43
        with sessions.begin() as session:
            session.add(AdminTokenRow(digest=digest_token(long)))
        store_admin_token(engine, long, replace=False)
        with sessions() as session:
            assert session.scalars(select(AdminTokenRow.sha256)).all() == [token_digest(long)]
