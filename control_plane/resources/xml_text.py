"""Text for XML documents."""

import re

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_xml_text(text: str) -> bool:
    """Whether XML 1.0 can hold every character."""
    return _NOT_IN_XML.search(text) is None


def xml_text(text: str) -> str:
    """The text, with the replacement character for each character that XML 1.0 cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
