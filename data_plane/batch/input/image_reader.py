"""Images to chunks: an image is one row, in the shape and of the type of the model's tensor."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.chunks import Chunk
from data_plane.batch.input.spans import Span
from data_plane.scoring.signature import CompiledSignature, TensorSpec
from modelyard.core.ports.object_store import ObjectStore

_MAX_PIXELS = 100_000_000


def read_image(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    match signature.inputs:
        case () if not signature.is_raw:
            shape: tuple[int, ...] | None = None
        case (TensorSpec() as spec,):
            shape = spec.shape
        case _:
            raise UnreadableFile(
                f"an image needs a model whose signature is a single tensor; this model takes {_inputs(signature)}"
            )
    array = _shaped(_pixels(store, span.key), shape)
    yield Chunk(0, len(array), signature.enforce_tensors({_name(signature): array}, None))


def _inputs(signature: CompiledSignature) -> str:
    return ", ".join(repr(spec.name) for spec in signature.inputs) or "type hints"


def _name(signature: CompiledSignature) -> str:
    return str(signature.inputs[0].name or "") if signature.inputs else ""


def _pixels(store: ObjectStore, key: str) -> npt.NDArray[Any]:
    try:
        with Image.open(io.BytesIO(b"".join(store.get(key)))) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise UnreadableFile(f"the image has more than {_MAX_PIXELS} pixels: make it smaller")
            # The numbers of a palette image are indexes into the palette.
            return np.asarray(
                image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode == "P" else image
            )
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UnreadableFile(f"the file is damaged, or is not an image: {error}") from None


def _shaped(pixels: npt.NDArray[Any], shape: tuple[int, ...] | None) -> npt.NDArray[Any]:
    """Make a batch of one image, reshaped to the model's dimensions where these differ."""
    if shape is None or (len(shape) == pixels.ndim + 1 and _fits(shape[1:], pixels.shape)):
        return pixels[np.newaxis]
    if shape.count(-1) > 1 or (len(shape) == pixels.ndim and _fits(shape, pixels.shape)):
        return pixels
    try:
        return pixels.reshape(shape)
    except ValueError:
        return pixels[np.newaxis] if len(shape) == pixels.ndim + 1 else pixels


def _fits(declared: tuple[int, ...], found: tuple[int, ...]) -> bool:
    return all(size in (-1, actual) for size, actual in zip(declared, found, strict=True))
