"""The snapshot on disk, and the reports of the gateways, of this and other versions."""

import json
from pathlib import Path

import pytest

from data_plane.host.publisher import Publisher
from data_plane.host.snapshot import build_routes
from tests.data_plane.host.states import observed, wanted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Publisher(tmp_path / "routing.json", gateways=1).publish(3, {})
    return tmp_path


def publisher(folder: Path) -> Publisher:
    return Publisher(folder / "routing.json", gateways=1)


def report(folder: Path, **fields: object) -> None:
    (folder / "gateway-0.applied").write_text(json.dumps({"pid": 1, "revision": 3, "sequence": 1, **fields}))


def test_snapshot_without_a_report_is_not_applied(folder: Path) -> None:
    assert not publisher(folder).is_applied()


def test_report_of_an_older_gateway_without_a_version_is_read(folder: Path) -> None:
    report(folder)
    assert publisher(folder).is_applied()


def test_report_of_a_newer_gateway_with_further_fields_is_read(folder: Path) -> None:
    report(folder, version="1.2", connections=7)
    assert publisher(folder).is_applied()


def test_report_of_an_unreadable_format_does_not_count_as_applied(folder: Path) -> None:
    report(folder, version=2)
    assert not publisher(folder).is_applied()


def test_sequence_continues_after_a_restart_of_the_host(folder: Path) -> None:
    next_host = publisher(folder)
    assert next_host.order == (3, 1)
    assert not next_host.publish(3, {})
    assert next_host.publish(2, build_routes(wanted(), observed(), {}))
    assert next_host.order == (3, 2)
