"""Registration and download of model folders."""

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
    def test_registered_version_has_every_file_of_the_folder(self, client, platform, model_folder):
        resource = client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)
        assert resource["id"].endswith("/models/m/versions/1")
        assert platform.at("/models/m/versions/1")["properties"]["modelUri"].endswith("/model")

    def test_registered_version_has_every_one_of_many_small_files(self, client, platform, model_folder):
        for number in range(40):
            (model_folder / "data" / f"{number}.csv").write_text(f"x\n{number}\n")
        client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)

    def test_rejected_file_ends_the_upload_with_the_reason(self, client, platform, model_folder):
        for number in range(100):
            (model_folder / "data" / f"{number}.csv").write_text(f"x\n{number}\n")
        platform.answers["PUT", "/data/3.csv"] = (
            413,
            {"error": {"code": "TooLarge", "message": "the file is too large"}},
        )
        with pytest.raises(ApiError, match="too large"):
            client.models.register(LocalModel(model_folder, name="m"))
        assert len(platform.uploaded()) < 100

    def test_model_without_a_version_gets_the_next_version(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="m"))
        second = client.models.register(LocalModel(model_folder, name="m"))
        assert second["name"] == "2"

    def test_unchanged_version_is_not_uploaded_again(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="m", version="4"))
        platform.requests.clear()
        again = client.models.register(LocalModel(model_folder, name="m", version="4"))
        assert again["name"] == "4"
        assert not platform.said("PUT")

    def test_changed_tags_are_written_without_an_upload(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="m", version="4"))
        platform.requests.clear()
        client.models.register(LocalModel(model_folder, "m", "4", {"properties": {"tags": {"a": "b"}}}))
        assert platform.at("/models/m/versions/4")["properties"]["tags"] == {"a": "b"}
        assert len(platform.said("PUT")) == 1

    def test_changed_content_under_a_registered_version_is_an_error(self, client, model_folder):
        client.models.register(LocalModel(model_folder, name="m", version="4"))
        (model_folder / "data" / "weights.bin").write_bytes(b"others")
        with pytest.raises(ContentConflict, match="m:4 is registered already with other content"):
            client.models.register(LocalModel(model_folder, name="m", version="4"))

    def test_anonymous_model_is_named_by_a_content_hash(self, client, platform, model_folder):
        first = client.models.register(LocalModel(model_folder))
        assert client.models.register(LocalModel(model_folder))["id"] == first["id"]
        assert first["properties"]["isAnonymous"] is True

    def test_broken_upload_resumes_at_the_received_bytes(self, client, platform, model_folder):
        platform.break_after = 3 << 16
        client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)
        assert any(path.endswith("weights.bin") for path in platform.said("HEAD"))

    def test_registration_is_repeated_after_a_lost_response(self, client, platform, model_folder):
        client.models.register(LocalModel(model_folder, name="first"))
        platform.lose_answer_of = "/versions/1"
        assert client.models.register(LocalModel(model_folder, name="m"))["name"] == "1"
        assert [path.endswith("/models/m/versions/1") for path in platform.said("PUT")][-2:] == [True, True]

    def test_file_name_with_blanks_and_percent_signs_is_kept(self, client, platform, model_folder):
        (model_folder / "100 % größe?#.txt").write_text("x")
        client.models.register(LocalModel(model_folder, name="m"))
        assert platform.files_of("/models/m/versions/1") == content_of(model_folder)


class TestRejectedFolder:
    @pytest.fixture(autouse=True)
    def nothing_is_sent(self, platform):
        yield
        assert platform.requests == []

    def refused(self, client: Client, folder: Path, match: str) -> None:
        with pytest.raises(InvalidFolder, match=match):
            client.models.register(LocalModel(folder, name="m"))

    def test_missing_folder(self, client, tmp_path):
        self.refused(client, tmp_path / "nothing", "there is no folder")

    def test_folder_without_mlmodel_names_a_subfolder_with_mlmodel(self, client, tmp_path):
        write_model(tmp_path / "run" / "model")
        self.refused(client, tmp_path / "run", r"no MLmodel file: did you mean .*/run/model\?")

    def test_malformed_mlmodel(self, client, model_folder):
        (model_folder / "MLmodel").write_text("flavors: [unclosed")
        with pytest.raises(InvalidModel, match="not valid YAML"):
            client.models.register(LocalModel(model_folder, name="m"))

    def test_path_on_a_drive_of_windows_is_refused_with_its_line(self, client, model_folder):
        (model_folder / "MLmodel").write_text(
            "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    data: D:\\models\\weights.bin\n"
        )
        with pytest.raises(InvalidModel, match=r"line 4: flavors\.python_function\.data"):
            client.models.register(LocalModel(model_folder, name="m"))

    def test_link_to_a_file_outside(self, client, model_folder):
        (model_folder / "data" / "passwd").symlink_to("/etc/passwd")
        self.refused(client, model_folder, "model/data/passwd is a symbolic link to /etc/passwd, outside")

    def test_link_to_a_folder_outside(self, client, model_folder, tmp_path):
        (model_folder / "more").symlink_to(tmp_path)
        self.refused(client, model_folder, "outside the folder")

    def test_circular_link(self, client, model_folder):
        (model_folder / "data" / "again").symlink_to("..")
        self.refused(client, model_folder, "a symbolic link to a parent folder")

    def test_link_to_a_missing_file(self, client, model_folder):
        (model_folder / "gone").symlink_to("nowhere")
        self.refused(client, model_folder, "to a missing file")

    def test_socket(self, client, model_folder):
        listener = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(model_folder)
        listener.bind("s.sock")
        os.chdir(here)
        self.refused(client, model_folder, "neither a file nor a folder")
        listener.close()

    def test_file_name_with_a_backslash(self, client, model_folder):
        (model_folder / "a\\b").write_text("")
        self.refused(client, model_folder, "cannot be stored")


def test_link_inside_the_folder_is_uploaded_as_the_target_file(client, platform, model_folder):
    (model_folder / "latest.bin").symlink_to("data/weights.bin")
    client.models.register(LocalModel(model_folder, name="m"))
    assert (
        platform.files_of("/models/m/versions/1")["model/latest.bin"]
        == (model_folder / "data" / "weights.bin").read_bytes()
    )


class TestDownload:
    def test_downloaded_files_equal_the_registered_files(self, client, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        folder = client.models.download("m", None, tmp_path / "back")
        assert content_of(folder) == content_of(model_folder)

    def test_second_download_fetches_no_file(self, client, platform, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        client.models.download("m", "1", tmp_path / "back")
        platform.requests.clear()
        client.models.download("m", "1", tmp_path / "back")
        assert [path for path in platform.said("GET") if "/workspaces/" not in path] == []

    def test_download_does_not_overwrite_another_file(self, client, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        (tmp_path / "back" / "model").mkdir(parents=True)
        (tmp_path / "back" / "model" / "MLmodel").write_text("mine")
        with pytest.raises(TransferFailed, match="exists already"):
            client.models.download("m", "1", tmp_path / "back")

    def test_file_with_a_path_out_of_the_folder_is_not_written(self, client, platform, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        entry = {"path": "../evil", "sha256": "0" * 64, "size": 1, "url": f"{platform.url}/evil"}
        platform.answers["GET", "/files"] = (200, {"value": [entry]})
        with pytest.raises(TransferFailed, match="unsafe path"):
            client.models.download("m", "1", tmp_path / "back")
        assert not (tmp_path / "evil").exists()

    def test_link_in_the_target_does_not_redirect_a_file(self, client, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        (tmp_path / "back" / "model").mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "back" / "model" / "data").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(TransferFailed, match="link out of"):
            client.models.download("m", "1", tmp_path / "back")
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_file_with_a_wrong_hash_is_an_error_and_is_removed(self, client, platform, model_folder, tmp_path):
        client.models.register(LocalModel(model_folder, name="m"))
        entries = client.models._files(client.models.get("m", "1"))
        platform.answers["GET", "/files"] = (200, {"value": [{**entries[0], "sha256": "0" * 64}]})
        with pytest.raises(ApiError, match="differs from the registered file"):
            client.models.download("m", "1", tmp_path / "back")
        assert not [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
