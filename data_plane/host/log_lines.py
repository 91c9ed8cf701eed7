"""Lines of a worker's output: whole ones, each with a UTC time."""

import re

_HAS_TIME = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_LONGEST_LINE = 64 << 10


def whole_lines(content: bytes, *, to_the_end: bool) -> bytes:
    """As much of the content as ends with a line's end; all of it when nothing more will come, or it is very long."""
    if to_the_end:
        return content
    end = content.rfind(b"\n") + 1
    return content if end == 0 and len(content) >= _LONGEST_LINE else content[:end]


def stamped(content: bytes, stamp: str) -> bytes:
    """What native code, tracebacks and child processes print comes without a time; it gets `stamp`."""
    lines = content.split(b"\n")
    rest = lines.pop()
    if rest:
        lines.append(rest)
    prefix = f"{stamp} I ".encode()
    return b"".join(line + b"\n" if _HAS_TIME.match(line) else prefix + line + b"\n" for line in lines)
