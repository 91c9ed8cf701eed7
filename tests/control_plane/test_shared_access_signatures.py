"""Shared access signatures of containers: bound to container, permissions and expiry. Tokens, beside them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError

from control_plane.signed_urls import UrlSigner
from tests.control_plane.blob_clients import STORE, ask, code_of, container, signature
from tests.control_plane.colleagues import make_token
from tests.control_plane.control import Control, anonymous


def signed(control: Control, letters: str, *, hours: float = 1, keys: str | None = None) -> str:
    signer = UrlSigner(keys or control.settings.master_key.get_secret_value())
    store = control.get(f"/datastores/{STORE}")["properties"]["containerName"]
    return signer.container_query(store, letters, expires=datetime.now(UTC) + timedelta(hours=hours))


class TestRefusals:
    @pytest.mark.parametrize(
        "alter",
        [
            lambda token: re.sub("sp=racwdl", "sp=racwdlx", token),
            lambda token: re.sub("sp=racwdl", "sp=rl", token),
            lambda token: re.sub("se=20", "se=21", token),
            lambda token: re.sub("&sig=.", "&sig=-", token) if "&sig=-" not in token else token[:-1],
            lambda token: re.sub("sig=.*", "sig=", token),
            lambda token: re.sub("sig=.*", "sig=%F0%9F%98%80", token),
            lambda token: re.sub("sp=racwdl&", "", token),
            lambda token: re.sub("se=[^&]*&", "", token),
        ],
        ids=["more-letters", "less-letters", "later", "other", "empty", "emoji", "no-letters", "no-expiry"],
    )
    def test_altered_signature_is_403(self, control, alter):
        client = container(control, token=alter(signature(control)))
        for method, path in (("GET", "/f"), ("PUT", "/f"), ("HEAD", "/f"), ("DELETE", "/f")):
            assert code_of(ask(client, method, path), 403) == "AuthenticationFailed"
        assert code_of(ask(client, "GET", "", "restype=container&comp=list"), 403) == "AuthenticationFailed"

    def test_signature_of_another_container_is_403(self, control):
        control.put("/datastores/lake", {"properties": {"datastoreType": "AzureBlob"}})
        other = control.in_workspace("other")
        for token in (signature(control, "lake"), signature(other)):
            client = container(control, token=token)
            assert code_of(ask(client, "GET", "/f"), 403) == "AuthenticationFailed"

    def test_expired_signature_is_403_and_says_when(self, control):
        answer = ask(container(control, token=signed(control, "racwdl", hours=-0.1)), "GET", "/f")
        assert code_of(answer, 403) == "AuthenticationFailed"
        assert "expired at 20" in answer.text

    def test_signature_of_another_platform_is_403(self, control):
        client = container(control, token=signed(control, "racwdl", keys="another-master-key"))
        assert code_of(ask(client, "GET", "/f"), 403) == "AuthenticationFailed"

    def test_upload_url_opens_no_container(self, control):
        client = container(control, token=control.start_upload().query)
        assert code_of(ask(client, "GET", "/f"), 403) == "AuthenticationFailed"

    def test_library_raises_the_error_of_azure(self, control):
        with pytest.raises(HttpResponseError) as refused:
            container(control, token=signed(control, "r", hours=-1)).get_blob_client("f").download_blob()
        assert (refused.value.status_code, refused.value.error_code) == (403, "AuthenticationFailed")

    @pytest.mark.parametrize(
        "name", ["azureml-999-workspaceblobstore", "azureml-1-nothing", "azureml-99999999999-a", "x"]
    )
    def test_unknown_container_is_404_for_the_admin_alone(self, control, name):
        url = f"{control.url}/modelyard.blob.core.windows.net/{name}/f"
        assert code_of(control.http.get(url), 404) == "ContainerNotFound"
        assert code_of(anonymous.get(url), 401) == "NoAuthenticationInformation"


class TestPermissions:
    CALLS = (
        ("GET", "/f", "", "r"),
        ("HEAD", "/f", "", "r"),
        ("GET", "/f", "comp=blocklist", "r"),
        ("GET", "", "restype=container&comp=list", "l"),
        ("GET", "", "restype=container", "rl"),
        ("PUT", "/f", "", "w"),
        ("PUT", "/f", "comp=block&blockid=YQ==", "wc"),
        ("PUT", "/f", "comp=metadata", "w"),
        ("PUT", "/f", "comp=properties", "w"),
        ("DELETE", "/f", "", "d"),
    )

    @pytest.mark.parametrize("letter", "racwdl")
    def test_each_letter_opens_its_calls_and_no_other(self, control, letter):
        client = container(control, token=signed(control, letter))
        for method, path, query, letters in self.CALLS:
            container(control).upload_blob("f", b"x", overwrite=True)
            answer = ask(client, method, path, query, headers={"x-ms-blob-type": "BlockBlob"})
            if letter in letters:
                assert answer.status_code < 300, (method, query, answer.text)
            else:
                assert code_of(answer, 403) == "AuthorizationPermissionMismatch", (method, query)

    def test_create_alone_writes_new_blobs_and_replaces_none(self, control):
        client = container(control, token=signed(control, "c"))
        client.upload_blob("new", b"1", overwrite=True)
        with pytest.raises(HttpResponseError) as refused:
            client.upload_blob("new", b"2", overwrite=True)
        assert refused.value.error_code == "AuthorizationPermissionMismatch"
        assert container(control).download_blob("new").readall() == b"1"


class TestTokens:
    @pytest.mark.parametrize(
        ("role", "reads", "writes"), [("reader", 200, 403), ("contributor", 200, 201), ("scorer", 403, 403)]
    )
    def test_bearer_token_has_the_permissions_of_its_role(self, control, role, reads, writes):
        client = container(control)
        client.upload_blob("f", b"x")
        url = client.url.partition("?")[0]
        headers = {"Authorization": f"Bearer {make_token(control, 'ada', role)}", "x-ms-blob-type": "BlockBlob"}
        assert anonymous.get(f"{url}/f", headers=headers).status_code == reads
        assert anonymous.put(f"{url}/f", headers=headers, content=b"y").status_code == writes

    def test_token_of_another_workspace_finds_no_container(self, control):
        url = container(control.in_workspace("other")).url.partition("?")[0]
        headers = {"Authorization": f"Bearer {make_token(control, 'ada', 'owner')}"}
        assert code_of(anonymous.get(f"{url}/f", headers=headers), 404) == "ContainerNotFound"

    def test_wrong_token_is_401(self, control):
        url = container(control).url.partition("?")[0]
        answer = anonymous.get(f"{url}/f", headers={"Authorization": "Bearer wrong"})
        assert code_of(answer, 401) == "NoAuthenticationInformation"

    def test_signature_beside_a_token_is_the_credential(self, control):
        client = container(control, token=signed(control, "l"))
        answer = ask(client, "GET", "/f", headers={"Authorization": control.http.headers["Authorization"]})
        assert code_of(answer, 403) == "AuthorizationPermissionMismatch"
