"""Pip lines: the resulting requirements, and the refused lines."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.environment_files.pip_lines import PipLine, lines_of
from builder.environment_files.requirements import (
    DeclaredRequirements,
    RequirementPolicy,
    collect_requirements,
    distribution_name,
)
from builder.errors import InvalidRequirement, PathLeavesModelFolder
from tests.builder.packages import make_wheel

Read = Callable[..., DeclaredRequirements]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


@pytest.fixture
def read(folder: Path) -> Read:
    def collected(*lines: str, **files: str) -> DeclaredRequirements:
        for name, text in files.items():
            (folder / f"{name}.txt").write_text(text)
        declared = [PipLine(line, f"conda.yaml, line {number}") for number, line in enumerate(lines, 5)]
        return collect_requirements(folder, folder, declared, RequirementPolicy())

    return collected


class TestRequirements:
    @pytest.mark.parametrize(
        ("line", "written"),
        [
            ("numpy", "numpy"),
            ("numpy == 1.23.5", "numpy==1.23.5"),
            ("pandas>=1,<3 ; python_version >= '3.8'", 'pandas<3,>=1; python_version >= "3.8"'),
            ('mlflow[extras]==2.7.1; platform_system == "Linux"', 'mlflow[extras]==2.7.1; platform_system == "Linux"'),
            ("torch==2.1.0+cpu", "torch==2.1.0+cpu"),
            (
                "mypkg@https://a.example/mypkg-1.0-py3-none-any.whl",
                "mypkg @ https://a.example/mypkg-1.0-py3-none-any.whl",
            ),
            ("git+https://a.example/team/repo@v1#egg=mypkg", "git+https://a.example/team/repo@v1#egg=mypkg"),
            (
                "https://a.example/mypkg-1.0-py3-none-any.whl;  python_version < '3'",
                'https://a.example/mypkg-1.0-py3-none-any.whl ; python_version < "3"',
            ),
            ("numpy==1.23.5   --hash=sha256:00  --hash sha512:ff", "numpy==1.23.5 --hash=sha256:00 --hash=sha512:ff"),
        ],
    )
    def test_requirement_is_written_from_its_parsed_parts(self, read, line, written):
        assert read(line).lines == (written,)

    def test_comments_are_removed(self, read):
        assert read("numpy==1.23.5  # as in training", "# nothing").lines == ("numpy==1.23.5",)

    @pytest.mark.parametrize(
        ("line", "advice"),
        [
            ("numpy @ file:///croot/numpy-1.23.5/work", "write numpy==1.23.5 instead"),
            ("certifi @ file:///home/me/certifi", "write certifi==<version> instead"),
            ("file:///tmp/numpy-1.23.5-cp310-cp310-linux_x86_64.whl", "write numpy==1.23.5 instead"),
        ],
    )
    def test_file_of_the_training_machine_is_refused_with_the_pin_to_write(self, read, line, advice):
        with pytest.raises(InvalidRequirement, match=advice):
            read(line)

    @pytest.mark.parametrize("line", ["numpy=1.23.5", "numpy = = 1", "!numpy"])
    def test_malformed_requirement_is_refused_with_file_and_line(self, read, line):
        with pytest.raises(
            InvalidRequirement, match=r"conda\.yaml, line 5.*not a valid requirement; write name==version"
        ):
            read(line)

    @pytest.mark.parametrize("line", ["-e .", "--editable=./src"])
    def test_editable_install_is_refused(self, read, line):
        with pytest.raises(InvalidRequirement, match="build a wheel"):
            read(line)


class TestFilesNamedByOptions:
    def test_requirements_file_is_read_in_place(self, read):
        found = read("scipy", "-r requirements.txt", requirements="numpy==1.23.5\n\n# a comment\npandas \\\n  >=1\n")
        assert found.lines == ("scipy", "numpy==1.23.5", "pandas>=1")

    def test_nested_file_is_found_beside_its_parent(self, folder):
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("-r b.txt\n")
        (folder / "sub" / "b.txt").write_text("numpy\n")
        assert collect_requirements(
            folder, folder, [PipLine("--requirement=sub/a.txt", "x")], RequirementPolicy()
        ).lines == ("numpy",)

    def test_constraints_file_adds_constraints_only(self, read):
        found = read("-c constraints.txt", "numpy", constraints="scipy<2\n")
        assert (found.lines, found.constraints) == (("numpy",), ("scipy<2",))

    def test_circular_files_are_refused(self, read):
        with pytest.raises(InvalidRequirement, match="includes this file"):
            read("-r a.txt", a="-r b.txt", b="-r a.txt")

    def test_same_file_twice_is_not_circular(self, read):
        assert read("-r a.txt", "-c a.txt", a="numpy==1").constraints == ("numpy==1",)

    def test_error_in_a_requirements_file_names_its_line(self, read):
        with pytest.raises(InvalidRequirement, match=r"requirements\.txt, line 2"):
            read("-r requirements.txt", requirements="numpy\n!\n")

    def test_files_with_a_byte_order_mark_are_read(self, folder):
        (folder / "r.txt").write_bytes("﻿numpy\n".encode())
        (folder / "s.txt").write_bytes("pandas\n".encode("utf-16"))
        lines = [PipLine("-r r.txt", "x"), PipLine("-r s.txt", "x")]
        assert collect_requirements(folder, folder, lines, RequirementPolicy()).lines == ("numpy", "pandas")

    def test_binary_requirements_file_is_refused(self, folder):
        (folder / "r.txt").write_bytes(b"\x80\x81")
        with pytest.raises(InvalidRequirement, match="not UTF-8 text"):
            collect_requirements(folder, folder, [PipLine("-r r.txt", "x")], RequirementPolicy())

    def test_requirements_file_from_the_network_is_refused(self, read):
        with pytest.raises(InvalidRequirement, match="put the file into the model folder"):
            read("-r https://example.com/requirements.txt")


class TestPathsStayInTheModelFolder:
    @pytest.mark.parametrize(
        "line",
        ["-r ../secret.txt", "-c /etc/passwd", "-r sub/../../secret.txt", "../secret.whl", "/etc/secret.whl", "-f .."],
    )
    def test_path_out_of_the_model_folder_is_refused(self, read, folder, line):
        (folder / "sub").mkdir()
        (folder.parent / "secret.txt").write_text("numpy\n")
        with pytest.raises(PathLeavesModelFolder, match=r"conda\.yaml, line 5.*leaves the model folder"):
            read(line)

    def test_link_out_of_the_model_folder_is_refused(self, read, folder):
        (folder.parent / "secret.txt").write_text("numpy\n")
        (folder / "requirements.txt").symlink_to("../secret.txt")
        with pytest.raises(PathLeavesModelFolder):
            read("-r requirements.txt")

    def test_link_to_a_wheel_outside_is_refused(self, read, folder):
        wheel = make_wheel(folder.parent / "outside", "secret")
        (folder / wheel.name).symlink_to(wheel)
        with pytest.raises(PathLeavesModelFolder):
            read(f"./{wheel.name}")

    def test_link_within_the_model_folder_is_followed(self, read, folder):
        (folder / "real.txt").write_text("numpy\n")
        (folder / "requirements.txt").symlink_to("real.txt")
        assert read("-r requirements.txt").lines == ("numpy",)

    def test_missing_requirements_file_is_named_in_the_error(self, read):
        with pytest.raises(InvalidRequirement, match=r"'requirements\.txt', which is not in the model folder"):
            read("-r requirements.txt")


class TestLocalWheels:
    def test_local_wheel_becomes_a_requirement_by_content(self, read, folder):
        wheel = make_wheel(folder / "wheels", "mine")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        found = read(f"./wheels/{wheel.name} ; python_version > '3.0'", f"code/../wheels/{wheel.name}[extra]")
        place = f"${{MODELYARD_WHEELS}}/{digest}/{wheel.name}"
        assert found.lines == (f'{place} ; python_version > "3.0"', f"{place}[extra]")
        assert [(file.path, file.sha256) for file in found.local_files] == [(f"wheels/{wheel.name}", digest)]

    def test_local_wheel_is_found_without_leading_dot(self, read, folder):
        wheel = make_wheel(folder, "mine")
        assert read(wheel.name).local_files[0].name == wheel.name

    def test_source_folder_is_refused(self, read, folder):
        (folder / "src").mkdir()
        with pytest.raises(InvalidRequirement, match="neither a wheel nor a source archive"):
            read("./src")

    def test_find_links_folder_is_read_wheel_by_wheel(self, read, folder):
        for name in ("one", "two"):
            make_wheel(folder / "wheels", name)
        found = read("--find-links wheels")
        assert [file.name for file in found.local_files] == ["one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"]
        assert found.sources.find_links == tuple(file.folder for file in found.local_files)


class TestIndexOptions:
    def test_index_options_are_collected(self, read):
        sources = read(
            "--index-url https://a.example/simple --extra-index-url=https://b.example/simple",
            "--extra-index-url https://c.example/simple",
            "-f https://d.example/wheels",
            "--trusted-host b.example",
            "--pre",
            "--only-binary=numpy,scipy",
            "--no-binary :all:",
        ).sources
        assert sources.index_url == "https://a.example/simple"
        assert sources.extra_index_urls == ("https://b.example/simple", "https://c.example/simple")
        assert sources.find_links == ("https://d.example/wheels",)
        assert sources.trusted_hosts == ("b.example",)
        assert (sources.pre, sources.only_binary, sources.no_binary) == (True, ("numpy", "scipy"), (":all:",))

    def test_option_without_effect_is_noted(self, read):
        assert "--prefer-binary is ignored" in read("--prefer-binary").notes[0]

    @pytest.mark.parametrize("line", ["--index", "-i", "--target x", "--index-url", "-r 'unclosed"])
    def test_unknown_or_incomplete_option_is_refused(self, read, line):
        with pytest.raises(InvalidRequirement, match=r"conda\.yaml, line 5"):
            read(line)


class TestNames:
    @pytest.mark.parametrize(
        ("line", "name"),
        [
            ("Scikit_Learn[all]>=1", "scikit-learn"),
            ("mypkg @ https://example.com/x.zip", "mypkg"),
            ("git+https://example.com/r#egg=My_Pkg", "my-pkg"),
            ("https://example.com/my_pkg-1.0-py3-none-any.whl", "my-pkg"),
            ("${MODELYARD_WHEELS}/00/my_pkg-1.0-py3-none-any.whl ; python_version > '3'", "my-pkg"),
            ("https://example.com/archive.zip", None),
        ],
    )
    def test_distribution_name_is_read_from_the_line(self, line, name):
        assert distribution_name(line) == name


def test_continued_last_line_of_a_file_is_read():
    assert [line.text for line in lines_of("numpy \\", name="r.txt")] == ["numpy"]
