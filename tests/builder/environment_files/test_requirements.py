"""Pip lines: the resulting requirements, and the refused lines."""

import hashlib
import re
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
            ("numpy==1.23.5 --hash=sha256:AB", "numpy==1.23.5 --hash=sha256:ab"),
            (
                "numpy==1.23.5 \\ --hash=sha256:00 \\ --hash=sha256:11 \\",
                "numpy==1.23.5 --hash=sha256:00 --hash=sha256:11",
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

    @pytest.mark.parametrize("line", ["numpy = = 1", "!numpy", "numpy 1.23.5"])
    def test_malformed_requirement_is_refused_with_file_and_line(self, read, line):
        with pytest.raises(
            InvalidRequirement, match=r"conda\.yaml, line 5.*not a valid requirement; write name==version"
        ):
            read(line)

    @pytest.mark.parametrize("line", ["numpy=1.23.5", "numpy=1.23.5=py310hd5efca6_0", "numpy = 1.23.5"])
    def test_pin_in_condas_form_is_refused_with_pips_form(self, read, line):
        with pytest.raises(InvalidRequirement, match=r"not a valid requirement; write numpy==1\.23\.5$"):
            read(line)

    @pytest.mark.parametrize(
        ("line", "instead"),
        [("numpy>=1.0.*", "numpy>=1.0"), ("torch>=2.0.1+cu118", "torch>=2.0.1"), ("scipy ~= 1.2.*", "scipy~= 1.2")],
    )
    def test_bound_that_only_old_versions_of_pip_take_is_refused_with_a_bound_to_write(self, read, line, instead):
        with pytest.raises(InvalidRequirement, match=re.escape(f"not a valid requirement; write {instead}") + "$"):
            read(line)

    @pytest.mark.parametrize("line", ["-e .", "--editable=./src", "-e C:\\src", "-e hg+https://a.example/r"])
    def test_editable_install_is_refused(self, read, line):
        with pytest.raises(InvalidRequirement, match="build a wheel"):
            read(line)


class TestRepositories:
    @pytest.mark.parametrize(
        ("line", "written"),
        [
            ("-e git+https://a.example/team/repo@0f1e#egg=mypkg", "git+https://a.example/team/repo@0f1e#egg=mypkg"),
            ("--editable=git+ssh://git@a.example/r.git#egg=x", "git+ssh://git@a.example/r.git#egg=x"),
            (
                "-e git+https://a.example/r#egg=x&subdirectory=python/x  # in use",
                "git+https://a.example/r#egg=x&subdirectory=python/x",
            ),
            (
                "x @ git+https://a.example/r@main#subdirectory=python",
                "x @ git+https://a.example/r@main#subdirectory=python",
            ),
        ],
    )
    def test_repository_is_installed_with_and_without_the_editable_option(self, read, line, written):
        assert read(line).lines == (written,)

    def test_editable_option_of_a_repository_is_noted(self, read):
        assert read("-e git+https://a.example/r#egg=x").notes == (
            "conda.yaml, line 5: -e is ignored; the repository is installed as a package",
        )

    @pytest.mark.parametrize("line", ["x @ git+https://a.example/r", "-e git+ssh://git@a.example/r#egg=x"])
    def test_repository_is_refused_by_a_builder_without_git(self, folder, line):
        policy = RequirementPolicy(has_git=False)
        with pytest.raises(InvalidRequirement, match=r"^conda\.yaml, line 9: .* the builder has no git; install git"):
            collect_requirements(folder, folder, [PipLine(line, "conda.yaml, line 9")], policy)

    @pytest.mark.parametrize("line", ["git+git@a.example:team/repo.git", "git@a.example:team/repo.git"])
    def test_repository_in_the_form_of_ssh_is_refused_with_the_url_to_write(self, read, line):
        with pytest.raises(InvalidRequirement, match=r"not the URL of a repository; write git\+https://host/path or"):
            read(line)


class TestVariables:
    LINE = PipLine("--extra-index-url https://build:${FEED_TOKEN}@a.example/simple", "conda.yaml, line 7")

    def collect(self, folder: Path, **policy) -> DeclaredRequirements:
        return collect_requirements(folder, folder, [self.LINE], RequirementPolicy(**policy))

    def test_variable_outside_the_operators_list_is_refused_with_the_place_to_allow_it(self, folder):
        with pytest.raises(
            InvalidRequirement,
            match=r"^conda\.yaml, line 7 needs the variable FEED_TOKEN, which the builder does not have",
        ) as refusal:
            self.collect(folder)
        assert "list FEED_TOKEN in MODELYARD_BUILD_VARIABLES" in refusal.value.message

    def test_listed_variable_without_a_value_is_refused(self, folder):
        listed = frozenset({"FEED_TOKEN"})
        with pytest.raises(InvalidRequirement, match=r"needs the variable FEED_TOKEN.* has no value; set FEED_TOKEN"):
            self.collect(folder, variables=listed, unset=listed)

    def test_listed_variable_outside_a_url_is_refused(self, folder):
        line, policy = PipLine("numpy==${VERSION}", "conda.yaml, line 7"), RequirementPolicy(frozenset({"VERSION"}))
        with pytest.raises(InvalidRequirement, match="has a variable outside a URL; write the value"):
            collect_requirements(folder, folder, [line], policy)

    def test_listed_variable_with_a_value_stays_a_name(self, folder):
        sources = self.collect(folder, variables=frozenset({"FEED_TOKEN"})).sources
        assert sources.extra_index_urls == ("https://build:${FEED_TOKEN}@a.example/simple",)


class TestSeveralRefusedLines:
    def test_files_of_condas_freeze_are_named_at_once_with_their_lines(self, read):
        with pytest.raises(InvalidRequirement) as refusal:
            read(
                "mlflow==2.7.1",
                "numpy @ file:///home/conda/feedstock_root/build_artifacts/numpy_1715218778763/work",
                "pandas @ file:///D:/bld/pandas_1700000/work",
                "scipy @ file:///croot/scipy_1701295040508/work/dist/scipy-1.11.4-cp311-cp311-linux_x86_64.whl#sha256=ab",
                "C:\\ci\\six_1.16.0\\work\\six-1.16.0-py3-none-any.whl",
            )
        assert refusal.value.message == (
            "these lines name files of the machine on which the model was trained: conda.yaml, line 6 "
            "(numpy==<version>), conda.yaml, line 7 (pandas==<version>), conda.yaml, line 8 (scipy==1.11.4), "
            "conda.yaml, line 9 (six==1.16.0); write the version in parentheses instead of the file"
        )

    def test_refusals_of_different_kinds_and_files_are_named_at_once(self, read):
        with pytest.raises(InvalidRequirement) as refusal:
            read("!numpy", "-r requirements.txt", "/etc/x.whl", requirements="scipy\n-e .\n")
        assert [
            where in refusal.value.message
            for where in ("conda.yaml, line 5", "requirements.txt, line 2", "conda.yaml, line 7")
        ] == [True] * 3

    def test_refusals_end_at_a_limit(self, read):
        with pytest.raises(InvalidRequirement, match=r"the lines from conda\.yaml, line 55 on have not been read$"):
            read(*["!"] * 4000)


class TestSecrets:
    @pytest.mark.parametrize(
        "line",
        [
            "--index-url https://me:s3cret@127.0.0.1/simple",
            "--index-url https://s3cret@127.0.0.1/simple",
            "x @ https://me:p@s3cret@a.example/x.zip",
            "x @ ftp://me:s3cret@a.example/x.zip",
            "x @ https://169.254.169.254/x.zip?sv=1&sig=s3cret",
            "https://127.0.0.1/x-1.0.tar.gz#access_token=s3cret",
        ],
    )
    def test_refusal_of_a_url_does_not_tell_its_credentials(self, read, line):
        with pytest.raises(InvalidRequirement) as refusal:
            read(line)
        assert "s3cret" not in refusal.value.message


class TestStandardLibrary:
    @pytest.mark.parametrize("name", ["pathlib", "sqlite3", "dataclasses", "uuid==1.30"])
    def test_requirement_with_the_name_of_a_module_of_python_is_noted(self, read, name):
        found = read(name)
        assert "is a module of Python itself" in found.notes[0]
        assert found.lines == (name,)


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

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
    def test_file_of_powershell_and_notepad_is_read(self, folder, encoding):
        (folder / "r.txt").write_bytes("numpy==1.23.5\r\n# bem\u00fcht\r\npandas \\\r\n  >=1\r\n".encode(encoding))
        found = collect_requirements(folder, folder, [PipLine("-r r.txt", "x")], RequirementPolicy())
        assert found.lines == ("numpy==1.23.5", "pandas>=1")

    def test_file_in_another_encoding_is_refused_with_the_line(self, folder):
        (folder / "r.txt").write_bytes("numpy\n# bem\u00fcht\n".encode("latin-1"))
        with pytest.raises(InvalidRequirement, match=r"^r\.txt, line 2, is not UTF-8 text"):
            collect_requirements(folder, folder, [PipLine("-r r.txt", "x")], RequirementPolicy())

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


class TestPathsOfWindows:
    @pytest.mark.parametrize(
        "line", ["-r sub\\r.txt", "--requirement=.\\sub\\r.txt", '-r "sub\\r.txt"', "-r sub/r.txt"]
    )
    def test_requirements_file_is_found_by_backslashes(self, read, folder, line):
        (folder / "sub").mkdir()
        (folder / "sub" / "r.txt").write_text("numpy\n")
        assert read(line).lines == ("numpy",)

    def test_quoted_blank_stays_a_part_of_the_name(self, read, folder):
        (folder / "my file.txt").write_text("numpy\n")
        assert read("-r my\\ file.txt").lines == ("numpy",)

    @pytest.mark.parametrize(
        "line", ["code\\{}", ".\\code\\{}", "code\\..\\code\\{}", "code\\{} ; python_version > '3.0'"]
    )
    def test_wheel_is_found_by_backslashes(self, read, folder, line):
        wheel = make_wheel(folder / "code", "mine")
        assert read(line.format(wheel.name)).local_files[0].path == f"code/{wheel.name}"

    def test_find_links_folder_is_found_by_backslashes(self, read, folder):
        make_wheel(folder / "code" / "wheels", "mine")
        assert len(read("-f code\\wheels").sources.find_links) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "C:\\ci\\six-1.16.0-py3-none-any.whl",
            "six @ C:\\ci\\six-1.16.0-py3-none-any.whl",
            "D:/six-1.16.0.tar.gz",
            "\\\\server\\six-1.16.0.zip",
        ],
    )
    def test_package_on_a_drive_is_a_file_of_the_training_machine(self, read, line):
        with pytest.raises(InvalidRequirement, match=r"on which the model was trained; write six==1\.16\.0 instead"):
            read(line)


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
