"""The cause, line and remedy of a failed resolution, from an index and from uv's own words."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from builder.build_run import BuildRun, cancellation_token
from builder.environment_files.pip_lines import PipLine
from builder.environment_files.requirements import RequirementPolicy, collect_requirements
from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.uv_errors import FailureContext, explain_failure
from builder.installers.uv_lock import with_declared_hashes
from modelyard.core.domain.environment_spec import EnvironmentSpec
from modelyard.core.domain.outgoing_urls import UrlPolicy
from tests.builder.conftest import Recorder, build

ORIGINS = {
    "torch==2.6.0+cu124": "conda.yaml, line 12",
    "featlib==0.1": "conda.yaml, line 13",
    "numpy==1.26.4": "conda.yaml, line 7",
    "numpy==2.0.0": "requirements.txt, line 3",
    "sqlite3": "conda.yaml, line 14",
    "sklearn": "conda.yaml, line 15",
    "winonly==1.0": "conda.yaml, line 16",
    "oldpy": "conda.yaml, line 17",
    "http://build:s3cret@127.0.0.1:18198/simple": "conda.yaml, line 6",
    "http://127.0.0.1:18198/simple/more": "conda.yaml, line 5",
    "tool @ git+https://me:s3cret@git.example/team/tool@v1": "conda.yaml, line 18",
}


def explained(output: str, **context) -> str:
    sentence = explain_failure(output, FailureContext(ORIGINS, **context))
    assert "s3cret" not in sentence
    return sentence


def no_solution(cause: str, hint: str = "") -> str:
    return f"error: No solution found when resolving dependencies\n  cause: {cause}\n\n{hint}"


def not_fetched(*causes: str) -> str:
    url = "http://127.0.0.1:18198/simple/featlib/"
    return "error: Request failed after 3 retries in 8.0s\n" + "".join(
        f"  cause: {cause}\n" for cause in (f"Failed to fetch: {url}", *causes)
    )


class TestRequirementsThatNoVersionSatisfies:
    def test_local_label_is_told_as_a_build_of_another_index(self):
        output = no_solution(
            "Because there is no version of torch==2.6.0+cu124 and you require torch==2.6.0+cu124, we can conclude "
            "that your requirements are unsatisfiable."
        )
        assert explained(output).endswith(
            " torch==2.6.0+cu124 (conda.yaml, line 12) is a build of another index, as +cu124 tells: write "
            "torch==2.6.0, or add the index that has the build (--extra-index-url URL)."
        )

    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            ("sqlite3", "sqlite3 (conda.yaml, line 14) is a module of Python itself: remove the line."),
            ("sklearn", "sklearn (conda.yaml, line 15) has another name on the package index: write scikit-learn."),
            ("featlib", "featlib (conda.yaml, line 13): correct the name, or add the index that has the package"),
            ("pytorch", "pytorch has another name on the package index: write torch."),
        ],
    )
    def test_package_that_no_index_has_comes_with_a_remedy(self, name, remedy):
        output = no_solution(
            f"Because {name} was not found in the package registry and you require {name}, we conclude."
        )
        assert remedy in explained(output)

    def test_package_without_a_wheel_for_the_machine_names_the_machines_that_have_one(self):
        output = no_solution(
            "Because winonly==1.0 has no wheels with a matching platform tag (e.g., `manylinux_2_36_x86_64`) and you "
            "require winonly==1.0, we can conclude that your requirements are unsatisfiable.",
            "hint: Wheels are available for `winonly` (v1.0) on the following platform: `win_amd64`",
        )
        assert "winonly (conda.yaml, line 16) has no wheel for this machine in version 1.0, only for win_amd64:" in (
            explained(output)
        )

    @pytest.mark.parametrize(
        "cause",
        [
            "Because oldpy==1.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require oldpy, we",
            "Because oldpy==1.0 has no wheels with a matching Python version tag (e.g., `cp311`) and you require",
            "Because oldpy==1.0 requires Python >=3.13 and you require oldpy==1.0, we can conclude that your",
        ],
    )
    def test_package_for_another_python_names_both_lines_to_change(self, cause):
        assert explained(no_solution(cause)).endswith(
            "oldpy (conda.yaml, line 17) has no wheel for the model's Python: change the version of oldpy, or the "
            "model's version of Python."
        )

    def test_conflict_names_every_line(self):
        output = no_solution("Because you require numpy==1.26.4 and numpy==2.0.0, we can conclude that they conflict.")
        assert explained(output).endswith(
            "Lines to change: numpy==1.26.4 is conda.yaml, line 7; numpy==2.0.0 is requirements.txt, line 3."
        )

    def test_conflict_after_a_retried_request_is_still_the_cause(self):
        output = no_solution("Because you require numpy==1.26.4 and numpy==2.0.0, we can conclude that they conflict.")
        assert explained(output, unreachable={("a.example", 443): "timed out"}).startswith("Because you require numpy")


class TestFetches:
    @pytest.mark.parametrize(
        ("causes", "says"),
        [
            (
                ["HTTP status client error (401 Unauthorized) for url (x)"],
                "answers 401 Unauthorized: credentials go before",
            ),
            (["HTTP status client error (403 Forbidden) for url (x)"], "answers 403 Forbidden: check that"),
            (["HTTP status client error (404 Not Found) for url (x)"], "answers 404 Not Found: check the URL"),
            (["HTTP status server error (503 Service Unavailable) for url (x)"], "answers 503 Service Unavailable"),
            (
                ["client error (Connect)", "invalid peer certificate: UnknownIssuer"],
                "has a certificate that the builder does not",
            ),
            (["received corrupt message of type InvalidContentType"], "does not speak TLS on this port: write http://"),
            (
                ["dns error", "failed to lookup address information: x"],
                "has a host name that the builder cannot resolve",
            ),
            (["tcp connect error", "Connection refused (os error 111)"], "refuses the connection: check host and port"),
            (["operation timed out"], "does not answer in time: check"),
        ],
    )
    def test_index_without_an_answer_is_named_with_line_cause_and_remedy(self, causes, says):
        sentence = explained(not_fetched(*causes))
        assert sentence.startswith(f"conda.yaml, line 6: http://****@127.0.0.1:18198/simple {says}")

    def test_index_of_the_platforms_own_configuration_is_told_apart(self):
        output = "error: Failed to fetch: https://o.example/simple/x/\n  cause: operation timed out\n"
        assert explained(output).startswith(
            "https://o.example/simple/x/, of the platform's own configuration, does not"
        )

    @pytest.mark.parametrize(
        ("stderr", "says"),
        [
            ("fatal: could not read Username for 'https://git.example': terminal prompts disabled", "401 Unauthorized"),
            ("remote: Not found.\nfatal: repository 'https://git.example/team/tool/' not found", "404 Not Found"),
            ("fatal: unable to access 'https://git.example/team/tool/': Could not resolve host: x", "cannot resolve"),
            ("fatal: unable to access 'https://git.example/team/tool/': SSL certificate problem: x", "does not trust"),
        ],
    )
    def test_repository_without_an_answer_is_named_with_line_and_cause(self, stderr, says):
        output = (
            "error: Git operation failed\n  cause: process didn't exit successfully: `/usr/bin/git fetch --force "
            f"'https://git.example/team/tool' '+HEAD:refs'` (exit status: 128)\n         --- stderr\n   {stderr}\n"
        )
        sentence = explained(output)
        assert sentence.startswith("conda.yaml, line 18: tool @ git+https://****@git.example/team/tool@v1 ")
        assert says in sentence

    def test_place_that_the_proxy_did_not_reach_is_named_with_the_proxys_error(self):
        output = not_fetched("HTTP status server error (502 No connection) for url (x)")
        sentence = explained(output, unreachable={("127.0.0.1", 18198): "[Errno 111] Connection refused"})
        assert sentence == (
            "conda.yaml, line 6: 127.0.0.1:18198 refuses the connection ([Errno 111] Connection refused): check host "
            "and port, and that the server runs."
        )


@pytest.mark.parametrize("part", ["a", "a.", "a==", "1 x", "Because ", "://", "\n  cause: ", "--- "])
def test_output_written_by_a_package_is_read_in_linear_time(part):
    started = time.process_time()
    explained("error: Failed to build\n" + part * ((1 << 20) // len(part)))
    # A quadratic search takes hours.
    assert time.process_time() - started < 20


def test_hash_of_a_requirement_replaces_the_hashes_of_the_index():
    lock = "alpha==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nbeta==1.0 \\\n    --hash=sha256:cc\n"
    assert with_declared_hashes(lock, ("alpha==1.0 --hash=sha256:bb --hash=sha512:dd", "beta")) == (
        "alpha==1.0 \\\n    --hash=sha256:bb \\\n    --hash=sha512:dd\nbeta==1.0 \\\n    --hash=sha256:cc\n"
    )


# From here on an index answers, and uv runs.

Serve = Callable[..., int]


@pytest.fixture(scope="module")
def answering() -> Iterator[Serve]:
    """Serve an index that gives every request a status, and return the port."""
    servers = []

    def serve(status: int, *, certificate: Path | None = None) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("WWW-Authenticate", 'Basic realm="feed"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def resolve(isolated_toolchain, tmp_path, monkeypatch) -> Callable[..., tuple[str, str]]:
    """Resolve a model's lines, which fails; return the sentence and the build log."""
    monkeypatch.setitem(isolated_toolchain.installer.uv._environ, "UV_HTTP_RETRIES", "0")

    def resolved(*lines: str, urls: str = "127.0.0.1", **variables: str) -> tuple[str, str]:
        policy = RequirementPolicy(frozenset(variables), UrlPolicy.parse(urls))
        monkeypatch.setattr(isolated_toolchain.installer.uv, "_expanded", variables)
        declared = [PipLine(line, f"conda.yaml, line {number}") for number, line in enumerate(lines, 7)]
        asked = collect_requirements(tmp_path, tmp_path, declared, policy)
        spec = EnvironmentSpec("3.11", asked.lines, sources=asked.sources, origins=asked.origins)
        progress = Recorder()
        with cancellation_token() as token, pytest.raises(ResolutionFailed) as failure:
            isolated_toolchain.installer.resolve(spec, BuildRun(progress.build_log(), token))
        return failure.value.message, progress.log

    return resolved


class TestAnsweringIndexes:
    @pytest.mark.parametrize(("status", "words"), [(401, "401 Unauthorized"), (403, "403 Forbidden")])
    def test_index_that_denies_access_is_named_beside_an_index_that_answers(
        self, resolve, answering, index, status, words
    ):
        feed = f"127.0.0.1:{answering(status)}/simple"
        sentence, log = resolve(
            f"--index-url {index.url}",
            f"--extra-index-url http://me:${{FEED_TOKEN}}@{feed}",
            "featlib==0.1",
            FEED_TOKEN="s3cret-1",
        )
        assert sentence.startswith(f"conda.yaml, line 8: http://****@{feed} answers {words}: ")
        assert "user:${NAME}@127.0.0.1), with NAME in MODELYARD_BUILD_VARIABLES" in sentence
        assert "s3cret" not in sentence + log

    def test_token_in_the_path_of_an_index_is_in_no_message_and_no_log(self, resolve, answering):
        port = answering(500)
        sentence, log = resolve(
            f"--index-url http://127.0.0.1:{port}/t/${{FEED_TOKEN}}/simple", "x", FEED_TOKEN="s3cret"
        )
        assert sentence.startswith(
            f"conda.yaml, line 7: http://127.0.0.1:{port}/t/${{FEED_TOKEN}}/simple answers 500 Internal Server Error"
        )
        assert "s3cret" not in sentence + log

    def test_certificate_that_the_builder_does_not_trust_is_named_through_the_checking_proxy(
        self, resolve, answering, self_signed
    ):
        port = answering(200, certificate=self_signed)
        sentence, _ = resolve(f"--index-url https://127.0.0.1:{port}/simple", "featlib")
        assert sentence.startswith(
            f"conda.yaml, line 7: https://127.0.0.1:{port}/simple has a certificate that the builder does not trust"
        )

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_refused_connection_is_named_through_the_checking_proxy(self, resolve, scheme):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{closed.getsockname()[1]}"
            sentence, _ = resolve(f"--index-url {scheme}://{place}/simple", "featlib")
        assert sentence.startswith(f"conda.yaml, line 7: {place} refuses the connection")

    def test_unknown_host_is_named_through_the_checking_proxy(self, resolve):
        sentence, _ = resolve("--index-url https://feed.invalid/simple", "featlib")
        assert sentence.startswith(
            "conda.yaml, line 7: feed.invalid:443 has a host name that the builder cannot resolve"
        )

    def test_host_that_the_rule_refuses_by_its_address_is_named(self, resolve, index, monkeypatch):
        answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
        sentence, _ = resolve("--index-url http://feed.example/simple", "featlib")
        assert sentence.startswith(
            "conda.yaml, line 7: feed.example:80 is not reached: the host 'feed.example' is a link"
        )


def test_value_of_an_allowed_variable_reaches_the_index_alone(
    isolated_toolchain, index, other_index, progress, monkeypatch
):
    values = {"FEED_TOKEN": "s3cret-1"}
    monkeypatch.setattr(isolated_toolchain.installer.uv, "_expanded", values)
    monkeypatch.setattr(
        isolated_toolchain.installer.uv, "_environ", {**isolated_toolchain.installer.uv._environ, **values}
    )
    index.credentials = other_index.credentials = "me:s3cret-1"
    index.add("alpha")
    other_index.add("beta")
    lines = (
        f"--index-url {index.url.replace('://', '://me:${FEED_TOKEN}@')}",
        f"beta @ http://me:${{FEED_TOKEN}}@127.0.0.1:{other_index.port}/files/beta-1.0-py3-none-any.whl",
        "alpha",
    )
    asked = collect_requirements(
        index.folder,
        index.folder,
        [PipLine(line, "conda.yaml, line 7") for line in lines],
        RequirementPolicy(frozenset(values), UrlPolicy.parse("127.0.0.1")),
    )
    spec = EnvironmentSpec("3.11", asked.lines, sources=asked.sources, origins=asked.origins)
    built = build(isolated_toolchain, spec, progress, modules=("alpha", "beta"))
    assert "${FEED_TOKEN}" in built.lock.text
    assert "s3cret" not in built.lock.text + progress.log


def test_file_with_another_hash_than_the_line_fails_the_install(isolated_toolchain, index, progress):
    index.add("alpha")
    line = f"alpha==1.0 --hash=sha256:{'0' * 64}"
    asked = collect_requirements(
        index.folder,
        index.folder,
        [PipLine(line, "conda.yaml, line 7"), PipLine(f"-i {index.url}", "x")],
        RequirementPolicy(urls=UrlPolicy.parse("127.0.0.1")),
    )
    spec = EnvironmentSpec("3.11", asked.lines, sources=asked.sources, origins=asked.origins)
    with pytest.raises(
        InstallFailed, match=r"alpha: the file of the package index has another hash than the line"
    ) as failure:
        build(isolated_toolchain, spec, progress)
    assert failure.value.message.endswith("Lines to change: alpha==1.0 is conda.yaml, line 7.")
