import struct

import pytest

from data_plane.worker import frames
from data_plane.worker.frames import Body, FrameReader, ProtocolError


def stream() -> bytes:
    body = Body()
    body.add(b"12345")
    body.add(b"678")
    return b"".join(
        [
            *frames.pack_json(frames.HELLO, 7, {"role": "host"}),
            *frames.pack(frames.SCORE, 8, b'{"rows":1}', body),
            *frames.pack_json(frames.PING, 9, {}),
        ]
    )


class TestFrameReader:
    @pytest.mark.parametrize("size", [1, 2, 3, 23, 24, 25, 1000])
    def test_frames_are_assembled_from_any_pieces(self, size: int) -> None:
        reader, data = FrameReader(), stream()
        read = [frame for start in range(0, len(data), size) for frame in reader.feed(data[start : start + size])]
        assert [(frame.kind, frame.request_id) for frame in read] == [(1, 7), (3, 8), (6, 9)]
        assert bytes(read[1].body) == b"12345\0\0\0" + b"678"

    def test_each_frame_has_a_writable_body(self) -> None:
        _, score, _ = FrameReader().feed(stream())
        score.body[0:1] = b"x"
        assert score.body.startswith(b"x2345")

    @pytest.mark.parametrize(
        ("header", "complaint"),
        [
            ((b"GE", 1, 1, 0, 0, 0), "begin with the letters MY"),
            ((b"MY", 2, 1, 0, 0, 0), "version 2"),
            ((b"MY", 1, 3, 0, frames.MAX_META_BYTES + 1, 0), "over the limit"),
            ((b"MY", 1, 3, 0, 2, frames.MAX_BODY_BYTES + 1), "over the limit"),
        ],
    )
    def test_invalid_header_is_rejected_before_the_body_arrives(
        self, header: tuple[bytes, int, int, int, int, int], complaint: str
    ) -> None:
        with pytest.raises(ProtocolError, match=complaint):
            FrameReader().feed(struct.pack("<2sBBIQQ", *header))


class TestBody:
    def test_each_buffer_begins_at_an_aligned_offset(self) -> None:
        body = Body()
        places = [body.add(bytes(length)) for length in (3, 8, 0, 1)]
        assert places == [(0, 3), (8, 8), (16, 0), (16, 1)]
        assert sum(map(len, body.buffers)) == body.length == 17


class TestMeta:
    @pytest.mark.parametrize("meta", [b"[]", b"{", b"\xff", b"[" * 100_000, b"1"])
    def test_meta_that_is_not_a_json_object_is_rejected(self, meta: bytes) -> None:
        with pytest.raises(ProtocolError):
            frames.unpack_meta(meta)
