"""The XML documents of the Blob service: bounded reading of block lists, and the answers."""

from collections.abc import Sequence
from email.utils import format_datetime
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.parsers import expat

from control_plane.features.blobs.blob import Blob, BlobPage, BlockReference, ListQuery, UncommittedBlock
from control_plane.features.blobs.errors import InvalidBlobRequest
from control_plane.resources.xml_text import is_xml_text, xml_text

MOST_BLOCKS = 50_000
LARGEST_BLOCK_LIST = 8 << 20
_KINDS = {"Committed", "Uncommitted", "Latest"}
_LONGEST_ID = 100
_HEADERS = {
    "content-type": "Content-Type",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-md5": "Content-MD5",
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
}


def read_block_list(document: bytes) -> Sequence[BlockReference]:
    """Raises InvalidBlobRequest for another document, a document type, or too many blocks."""
    reader = _BlockListReader()
    try:
        reader.read(document)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise InvalidBlobRequest("InvalidXmlDocument", f"the block list cannot be read: {error}") from None
    return reader.references


class _BlockListReader:
    def __init__(self) -> None:
        self.references: list[BlockReference] = []
        self._depth = 0
        self._kind = ""
        self._text: list[str] = []
        self._length = 0
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self, document: bytes) -> None:
        self._parser.Parse(document, True)

    def _refuse_doctype(self, *_: object) -> None:
        raise ValueError("a document type is not allowed")

    def _start(self, name: str, _: object) -> None:
        if (self._depth == 0 and name != "BlockList") or (self._depth == 1 and name not in _KINDS) or self._depth > 1:
            raise ValueError(f"unexpected element {name[:100]!r}")
        if len(self.references) >= MOST_BLOCKS and self._depth == 1:
            raise InvalidBlobRequest("BlockListTooLong", f"a blob has at most {MOST_BLOCKS} blocks")
        self._depth += 1
        self._kind, self._text, self._length = name, [], 0

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._depth == 2 and self._length <= _LONGEST_ID:
            self._text.append(text)

    def _end(self, _: str) -> None:
        if self._depth == 2:
            if self._length > _LONGEST_ID:
                raise ValueError("a block id is too long")
            self.references.append(BlockReference(self._kind, "".join(self._text).strip()))
        self._depth -= 1


def block_list_document(blob: Blob | None, uncommitted: Sequence[UncommittedBlock], kinds: str) -> bytes:
    """`kinds` is committed, uncommitted or all."""
    root = Element("BlockList")
    if kinds != "uncommitted":
        _add_blocks(SubElement(root, "CommittedBlocks"), blob.blocks if blob else ())
    if kinds != "committed":
        _add_blocks(SubElement(root, "UncommittedBlocks"), [(block.block_id, block.size) for block in uncommitted])
    return _document(root)


def _add_blocks(parent: Element, blocks: Sequence[tuple[str, int]]) -> None:
    for block_id, size in blocks:
        block = SubElement(parent, "Block")
        SubElement(block, "Name").text = block_id
        SubElement(block, "Size").text = str(size)


def page_document(
    page: BlobPage, query: ListQuery, *, container_url: str, container: str, marker: str, next_marker: str, details: str
) -> bytes:
    """`details` are the words of the parameter `include`."""
    account = container_url.removesuffix(container)
    root = Element("EnumerationResults", {"ServiceEndpoint": account, "ContainerName": container})
    for name, value in (("Prefix", query.prefix), ("Marker", marker), ("Delimiter", query.delimiter)):
        if value:
            SubElement(root, name).text = xml_text(value)
    SubElement(root, "MaxResults").text = str(query.most)
    entries = SubElement(root, "Blobs")
    for blob in page.blobs:
        _add_blob(SubElement(entries, "Blob"), blob, with_metadata="metadata" in details)
    for prefix in page.prefixes:
        _add_name(SubElement(entries, "BlobPrefix"), prefix)
    SubElement(root, "NextMarker").text = next_marker
    return _document(root)


def _add_blob(entry: Element, blob: Blob, *, with_metadata: bool) -> None:
    _add_name(entry, blob.name)
    properties = SubElement(entry, "Properties")
    values = {
        "Last-Modified": format_datetime(blob.modified_at, usegmt=True),
        "Etag": blob.etag.strip('"'),
        "Content-Length": str(blob.size),
        "Content-Type": "application/octet-stream",
        **{_HEADERS[name]: value for name, value in blob.headers.items() if name in _HEADERS},
        "BlobType": "BlockBlob",
        "LeaseStatus": "unlocked",
        "LeaseState": "available",
        "ServerEncrypted": "false",
    }
    for name, value in values.items():
        SubElement(properties, name).text = xml_text(value)
    if with_metadata:
        metadata = SubElement(entry, "Metadata")
        for name, value in blob.metadata.items():
            SubElement(metadata, name).text = xml_text(value)


def _add_name(entry: Element, name: str) -> None:
    """Azure's form of names with characters that XML cannot hold."""
    element = SubElement(entry, "Name")
    if not is_xml_text(name):
        element.set("Encoded", "true")
        name = quote(name)
    element.text = name


def _document(root: Element) -> bytes:
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return content
