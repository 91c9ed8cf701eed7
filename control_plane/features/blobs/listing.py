"""A page of a container's blobs. Names up to a delimiter stand for the blobs below, as the folders of a file system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from control_plane.features.blobs.blob import ContainerAccess, ListQuery
from modelyard.core.ports.object_store import ObjectStore, StoredObject

_LAST = "\U0010ffff"
"""Sorts behind every other letter."""
_LONGEST = 900
"""Bytes of a key."""
_READ_OVER = 1000
"""Objects of one folder that the listing reads before it looks up the first key behind the folder."""


@dataclass(frozen=True, slots=True)
class ObjectPage:
    objects: Sequence[StoredObject]
    prefixes: Sequence[str]
    next_after: str | None


def list_page(store: ObjectStore, access: ContainerAccess, query: ListQuery) -> ObjectPage:
    if not _can_begin_a_key(query.prefix):
        return ObjectPage((), (), None)
    objects: list[StoredObject] = []
    prefixes: list[str] = []
    last = query.after
    for entry in _entries(store, access, query):
        if len(objects) + len(prefixes) == query.most:
            return ObjectPage(objects, prefixes, last)
        if isinstance(entry, StoredObject):
            objects.append(entry)
            last = entry.key.removeprefix(access.base)
        else:
            prefixes.append(entry)
            last = entry + _LAST
    return ObjectPage(objects, prefixes, None)


def _entries(store: ObjectStore, access: ContainerAccess, query: ListQuery) -> Iterator[StoredObject | str]:
    after: str | None = f"{access.base}{query.after}" if query.after else ""
    folder = ""
    while after is not None:
        found_after, after, read_over = after, None, 0
        for found in store.list_objects(f"{access.base}{query.prefix}", after=found_after):
            name = found.key.removeprefix(access.base)
            if folder and name.startswith(folder):
                read_over += 1
                if read_over == _READ_OVER:
                    after = f"{access.base}{folder}{_LAST}"
                    break
                continue
            inside, delimiter, _ = name.removeprefix(query.prefix).partition(query.delimiter or "\0")
            if delimiter:
                folder, read_over = f"{query.prefix}{inside}{delimiter}", 0
                yield folder
            else:
                yield found


def _can_begin_a_key(prefix: str) -> bool:
    """Whether keys of the container may begin so. Other prefixes must not reach the store: `..` leaves a folder."""
    *folders, _ = prefix.split("/")
    is_odd = any(part in {"", ".", ".."} or len(part.encode(errors="replace")) > 255 for part in folders)
    return (
        not is_odd
        and len(prefix.encode(errors="replace")) <= _LONGEST
        and not any(letter < " " or letter in "\\\x7f" for letter in prefix)
    )
