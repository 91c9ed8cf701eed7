"""Create the platform's blob container in the stack's Azurite; does nothing for another account.

The platform creates no containers: with a real account, the owner does. Reads MODELYARD_STORAGE_URL and
AZURE_STORAGE_CONNECTION_STRING. Standard library only. An existing container is left unchanged.
"""

import base64
import hashlib
import hmac
import os
import sys
import urllib.request
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.parse import urlsplit

_PROTOCOL = "2021-12-02"


def main() -> int:
    connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    if "//azurite:" not in connection:
        return 0
    parts = dict(part.split("=", 1) for part in connection.split(";") if part)
    # az://account/container/prefix
    name = urlsplit(os.environ["MODELYARD_STORAGE_URL"]).path.split("/")[1]
    try:
        urllib.request.urlopen(_request(parts, name), timeout=20).close()
    except HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:
            print(f"Azurite refused to create the container {name!r}: {error}", file=sys.stderr)
            return 1
    return 0


def _request(parts: dict[str, str], name: str) -> urllib.request.Request:
    account, date = parts["AccountName"], datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    # The account appears twice: as the owner, and as the first part of Azurite's path.
    resource = f"/{account}/{account}/{name}\nrestype:container"
    signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{_PROTOCOL}\n{resource}"
    key = base64.b64decode(parts["AccountKey"])
    signature = base64.b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode()
    headers = {"x-ms-date": date, "x-ms-version": _PROTOCOL, "Authorization": f"SharedKey {account}:{signature}"}
    url = f"{parts['BlobEndpoint']}/{name}?restype=container"
    return urllib.request.Request(url, method="PUT", headers=headers)


if __name__ == "__main__":
    sys.exit(main())
