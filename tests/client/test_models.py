"""Registering model folders, and bringing them back."""

import os
import socket
from pathlib import Path

import pytest

from modelyard.client import ApiError, Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.errors import ContentConflict, InvalidFolder, TransferFailed
from modelyard.core.errors import InvalidModel
from tests.client.model_folder import write_model


def content_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}


class TestRegister:
    def test_every_file_arrives_and_the_version_names_the_folder(self, client, platform, model_folder):
        resource = client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)
        assert resource["id"].endswith("/models/m/versions/1")
        assert platform.at("/models/m/versions/1")["properties"]["modelUri"].endswith("/model")

    def test_many_small_files_all_arrive(self, client, platform, model_folder):
        for number in range(40):
            (model_folder / "data" / f"{number}.csv").write_text(f"x\n{number}\n")
        client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)

    def test_a_refused_file_ends_the_upload_with_its_reason(self, client, platform, model_folder):
        for number in range(100):
            (model_folder / "data" / f"{number}.csv").write_text(f"x\n{number}\n")
        platform.answers["PUT", "/data/3.csv"] = (
            413,
            {"error": {"code": "TooLarge", "message": "the file is too large"}},
        )
        with pytest.raises(ApiError, match="too large"):
            client.models.register(LocalModel(model_folder, name="m"))
        assert len(platform.uploaded()) < 100

    def test_without_a_version_the_next_one_is_taken(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="m"))
        second = client.models.register(LocalModel(model_folder, name="m"))
        assert second["name"] == "2"

    def test_the_same_content_under_the_same_version_is_not_sent_again(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="m", version="4"))
        platform.requests.clear()
        again = client.models.register(LocalModel(model_folder, name="m", version="4"))
        assert again["name"] == "4"
        assert not platform.said("PUT")

    def test_new_tags_are_written_without_sending_the_files_again(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="m", version="4"))
        platform.requests.clear()
        client.models.register(LocalModel(model_folder, "m", "4", {"properties": {"tags": {"a": "b"}}}))
        assert platform.at("/models/m/versions/4")["properties"]["tags"] == {"a": "b"}
        assert len(platform.said("PUT")) == 1

    def test_other_content_under_a_registered_version_is_refused(self, client, model_folder):
        client.models.register(LocalModel(model_folder, name="m", version="4"))
        (model_folder / "data" / "weights.bin").write_bytes(b"others")
        with pytest.raises(ContentConflict, match="m:4 is registered already with other content"):
            client.models.register(LocalModel(model_folder, name="m", version="4"))

    def test_an_anonymous_model_is_named_by_its_content(self, client, platform, model_folder):
        first = client.models.register(LocalModel(model_folder))
        assert client.models.register(LocalModel(model_folder))["id"] == first["id"]
        assert first["properties"]["isAnonymous"] is True

    def test_an_upload_that_breaks_off_is_continued_where_it_ended(self, client, platform, model_folder):
        platform.break_after = 3 << 16
        client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)
        assert any(path.endswith("weights.bin") for path in platform.said("HEAD"))

    def test_a_registration_whose_answer_was_lost_is_said_again(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="first"))
        platform.lose_answer_of = "/versions/1"
        assert client.models.register(LocalModel(model_folder, name="m"))["name"] == "1"
        assert [path.endswith("/models/m/versions/1") for path in platform.said("PUT")][-2:] == [True, True]

    def test_file_names_with_blanks_and_percent_signs_arrive_as_they_are(self, client, platform, model_folder):
        (model_folder / "100 % größe?#.txt").write_text("x")
        client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)


class TestAFolderThatMustNotBeSent:
    @pytest.fixture(autouse=True)
    def nothing_is_sent(self, platform):
        yield
        assert platform.requests == []

    def refused(self, client: Client, folder: Path, match: str) -> None:
        with pytest.raises(InvalidFolder, match=match):
            client.models.register(LocalModel(folder, name="m"))

    def test_one_that_is_not_there(self, client, tmp_path):
        self.refused(client, tmp_path / "nothing", "there is no folder")

    def test_one_without_mlmodel_says_where_there_is_one(self, client, tmp_path):
        write_model(tmp_path / "run" / "model")
        self.refused(client, tmp_path / "run", r"no MLmodel file: did you mean .*/run/model\?")

    def test_a_malformed_mlmodel(self, client, model_folder):
        (model_folder / "MLmodel").write_text("flavors: [unclosed")
        with pytest.raises(InvalidModel, match="not valid YAML"):
            client.models.register(LocalModel(model_folder, name="m"))

    def test_a_link_out_of_it(self, client, model_folder):
        (model_folder / "data" / "passwd").symlink_to("/etc/passwd")
        self.refused(client, model_folder, "model/data/passwd is a symbolic link to /etc/passwd, outside")

    def test_a_linked_folder_out_of_it(self, client, model_folder, tmp_path):
        (model_folder / "more").symlink_to(tmp_path)
        self.refused(client, model_folder, "outside the folder")

    def test_a_link_in_a_circle(self, client, model_folder):
        (model_folder / "data" / "again").symlink_to("..")
        self.refused(client, model_folder, "a folder that contains it")

    def test_a_link_to_nothing(self, client, model_folder):
        (model_folder / "gone").symlink_to("nowhere")
        self.refused(client, model_folder, "to nothing")

    def test_a_socket(self, client, model_folder):
        listener = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(model_folder)
        listener.bind("s.sock")
        os.chdir(here)
        self.refused(client, model_folder, "neither a file nor a folder")
        listener.close()

    def test_a_name_that_cannot_be_stored(self, client, model_folder):
        (model_folder / "a\\b").write_text("")
        self.refused(client, model_folder, "cannot be stored")


def test_a_link_that_stays_inside_is_sent_as_the_file_it_names(client, platform, model_folder):
    (model_folder / "latest.bin").symlink_to("data/weights.bin")
    client.models.register(LocalModel(model_folder, name="m"))
    assert (
        platform.files_of("/models/m/versions/1")["model/latest.bin"]
        == (model_folder / "data" / "weights.bin").read_bytes()
    )


class TestDownload:
    def test_it_brings_back_what_was_registered(self, client, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        folder = client.models.download("m", None, tmp_path / "back")
        assert content_of(folder) == content_of(model_folder)

    def test_again_it_finds_everything_there(self, client, platform, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        client.models.download("m", "1", tmp_path / "back")
        platform.requests.clear()
        client.models.download("m", "1", tmp_path / "back")
        assert [path for path in platform.said("GET") if "/workspaces/" not in path] == []

    def test_it_overwrites_nothing_else(self, client, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        (tmp_path / "back" / "model").mkdir(parents=True)
        (tmp_path / "back" / "model" / "MLmodel").write_text("mine")
        with pytest.raises(TransferFailed, match="exists already"):
            client.models.download("m", "1", tmp_path / "back")

    def test_a_path_that_leaves_the_folder_is_not_written(self, client, platform, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        entry = {"path": "../evil", "sha256": "0" * 64, "size": 1, "url": f"{platform.url}/evil"}
        platform.answers["GET", "/files"] = (200, {"value": [entry]})
        with pytest.raises(TransferFailed, match="must not be written"):
            client.models.download("m", "1", tmp_path / "back")
        assert not (tmp_path / "evil").exists()

    def test_a_link_in_the_target_leads_nothing_out_of_it(self, client, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        (tmp_path / "back" / "model").mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "back" / "model" / "data").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(TransferFailed, match="link out of"):
            client.models.download("m", "1", tmp_path / "back")
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_other_bytes_than_were_registered_are_refused_and_not_kept(self, client, platform, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        entries = client.models._files(client.models.get("m", "1"))
        platform.answers["GET", "/files"] = (200, {"value": [{**entries[0], "sha256": "0" * 64}]})
        with pytest.raises(ApiError, match="other content"):
            client.models.download("m", "1", tmp_path / "back")
        assert not [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
