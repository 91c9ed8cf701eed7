"""The chain of audit events: every change of the table by SQL is found, and concurrent writers make one chain."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from modelyard.core.db.audit import record, record_for_platform, remove_events
from modelyard.core.db.audit_verification import verify_chain
from modelyard.core.db.rows import AuditEventRow, WorkspaceRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.audit import GENESIS, AuditAction, ChainedContent, ChainReport, Checkpoint
from modelyard.core.domain.caller import Caller, CallerKind

ADA = Caller("ada", CallerKind.USER, request_id="r-1")
EVENTS = 6
ODD_CHANGES = {
    "big": 1e22, "whole": 2.0, "small": 1e-7, "zero": -0.0, "text": 'é "\u2028', "nested": [{"b": None, "a": True}],
}  # fmt: skip


def write(sessions: Sessions, *changes: dict[str, object]) -> None:
    """Write an event for each of the changes, in one transaction."""
    with transaction(sessions) as work:
        workspace = work.session.scalars(select(WorkspaceRow)).first()
        for each in changes:
            record(work.session, ADA, AuditAction.UPDATE, workspace, changes=each)


def verify(sessions: Sessions, checkpoint: Checkpoint | None = None) -> ChainReport:
    with transaction(sessions) as work:
        return verify_chain(work.session, checkpoint)


def execute(sessions: Sessions, statement: str) -> None:
    with sessions.begin() as session:
        session.execute(text(statement))


@pytest.fixture
def chain(sessions: Sessions) -> Sessions:
    """A database with six events."""
    for number in range(EVENTS // 2):
        write(sessions, {"n": number}, ODD_CHANGES)
    return sessions


def test_untouched_chain_is_intact_whatever_its_values(chain):
    report = verify(chain)
    assert (report.events, report.first, report.head.event, report.faults) == (EVENTS, 1, EVENTS, ())
    assert verify(chain, report.head).faults == ()


def test_database_without_events_is_intact(sessions):
    report = verify(sessions)
    assert (report.events, report.first, report.head, report.faults) == (0, None, Checkpoint(0, GENESIS), ())


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit_events SET caller = 'bob' WHERE id = 3", "event 3 was changed"),
        ("UPDATE audit_events SET at = at - interval '1 hour' WHERE id = 1", "event 1 was changed"),
        ("UPDATE audit_events SET changes = '{}' WHERE id = 4", "event 4 was changed"),
        ("UPDATE audit_events SET workspace_id = NULL WHERE id = 6", "event 6 was changed"),
        ("UPDATE audit_events SET to_state = '' WHERE id = 2", "event 2 was changed"),
        ("UPDATE audit_events SET hash = repeat('0', 64) WHERE id = 2", "event 2 was changed"),
        ("DELETE FROM audit_events WHERE id = 3", "events between 2 and 4 are missing"),
        ("DELETE FROM audit_events WHERE id <= 2", "events between 0 and 3 are missing"),
        ("DELETE FROM audit_events WHERE id = 6", "the last event is 5, and the chain's head names 6"),
        ("DELETE FROM audit_events", "the last event is 0, and the chain's head names 6"),
        ("DELETE FROM audit_chain", "the chain's head names none"),
        ("UPDATE audit_events SET id = CASE id WHEN 2 THEN -3 ELSE id END WHERE id IN (2, 3)", "missing"),
        (
            "INSERT INTO audit_events (id, caller, caller_kind, action, resource_id, changes, hash) "
            "VALUES (7, 'eve', 'user', 'update', '/', '{}', repeat('a', 64))",
            "event 7 was changed or added",
        ),
    ],
)  # fmt: skip
def test_change_by_sql_is_found(chain, statement, fault):
    execute(chain, statement)
    assert any(fault in found for found in verify(chain).faults), verify(chain).faults


def test_two_events_that_change_places_are_found(chain):
    execute(chain, "UPDATE audit_events SET id = 100 WHERE id = 2")
    execute(chain, "UPDATE audit_events SET id = 2 WHERE id = 3")
    execute(chain, "UPDATE audit_events SET id = 3 WHERE id = 100")
    assert len(verify(chain).faults) >= 2


def test_edited_event_with_a_new_hash_breaks_the_event_after(chain):
    with chain.begin() as session:
        previous, row = session.scalars(
            select(AuditEventRow).where(AuditEventRow.id.in_((2, 3))).order_by(AuditEventRow.id)
        )
        row.caller = "bob"
        names = [column.name for column in AuditEventRow.__table__.columns if column.name != "hash"]
        content = ChainedContent(**{name: getattr(row, name) for name in names})
        row.hash = content.hash_after(previous.hash)
    assert verify(chain).faults == ("event 4 was changed or added, or the event before it was",)


class TestCheckpoint:
    def test_end_removed_together_with_the_head_is_found(self, chain):
        noted = verify(chain).head
        execute(chain, "DELETE FROM audit_events WHERE id > 4")
        execute(chain, "UPDATE audit_chain SET (event, hash) = (SELECT id, hash FROM audit_events WHERE id = 4)")
        assert verify(chain).faults == ()
        assert "the end is missing" in verify(chain, noted).faults[0]

    def test_rewritten_chain_is_found(self, chain):
        noted = verify(chain).head
        self.rewrite(chain)
        assert verify(chain).faults == ()
        assert f"event {EVENTS} differs from the checkpoint" in verify(chain, noted).faults[0]

    def rewrite(self, sessions: Sessions) -> None:
        """Change an event, and compute all hashes again, as a person with the program and the database can."""
        with sessions.begin() as session:
            previous = GENESIS
            for row in session.scalars(select(AuditEventRow).order_by(AuditEventRow.id)):
                row.caller = "bob"
                names = [column.name for column in AuditEventRow.__table__.columns if column.name != "hash"]
                row.hash = previous = ChainedContent(**{n: getattr(row, n) for n in names}).hash_after(previous)
            session.execute(text("UPDATE audit_chain SET hash = :hash"), {"hash": previous})

    def test_older_checkpoint_fits_a_chain_that_has_grown(self, chain):
        noted = verify(chain).head
        write(chain, {"n": 9})
        assert verify(chain, noted).faults == ()
        assert verify(chain, Checkpoint(noted.event, "f" * 64)).faults != ()

    def test_checkpoint_is_read_as_printed(self):
        checkpoint = Checkpoint(12, "ab" * 32)
        assert Checkpoint.parse(f" {checkpoint}\n") == checkpoint
        assert Checkpoint.parse("12:ab") is None


class TestRetention:
    def expire(self, sessions: Sessions, up_to: int) -> None:
        """Let the events up to `up_to` be old, and remove them."""
        with transaction(sessions) as work:
            old = update(AuditEventRow).where(AuditEventRow.id <= up_to)
            work.session.execute(old.values(at=func.now() - timedelta(days=91)))
        with transaction(sessions) as work:
            remove_events(work.session, older_than=timedelta(days=90))

    def test_old_events_are_removed_and_the_chain_stays_intact(self, chain):
        before = verify(chain).head
        self.expire(chain, 2)
        report = verify(chain, before)
        assert (report.first, report.expired, report.faults) == (3, 2, ())
        self.expire(chain, 4)
        assert (verify(chain).first, verify(chain).expired, verify(chain).faults) == (5, 4, ())

    def test_removal_with_nothing_to_remove_leaves_no_event(self, chain):
        self.expire(chain, 0)
        assert verify(chain).events == EVENTS

    def test_events_removed_beyond_the_recorded_retention_are_found(self, chain):
        self.expire(chain, 2)
        execute(chain, "DELETE FROM audit_events WHERE id = 3")
        assert "events between 2 and 4 are missing" in verify(chain).faults[0]

    def test_checkpoint_of_a_removed_event_asks_for_a_newer_one(self, chain):
        self.expire(chain, 3)
        assert "use a newer checkpoint" in verify(chain, Checkpoint(1, "a" * 64)).faults[0]


def test_concurrent_transactions_make_one_chain_without_gaps(sessions):
    def work(number: int) -> None:
        for _ in range(10):
            write(sessions, {"thread": number}, {"thread": number})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(sessions)
    assert (report.events, report.head.event, report.faults) == (120, 120, ())


def test_event_of_a_transaction_that_fails_leaves_no_trace_and_no_gap(sessions):
    with sessions() as session:
        record_for_platform(session, ADA, AuditAction.UPDATE, {})
        session.execute(text("SELECT 1"))
        session.rollback()
        session.commit()
    write(sessions, {})
    assert verify(sessions).head.event == 1
