"""The other lossless codecs, on the same samples: bytes, processor seconds, and whether the samples came back.

Each is given its best case: the least sample is subtracted, the true depth is declared, samples of 8 bits or fewer
lie in bytes, and no file header is counted. Picture codecs code frame by frame, as DICOM PS3.5 section 8.2 has them
do; zstd and xz see all frames of an item at once. A codec that can't code an item, or gives other samples back, has
no figure for it, and the report says so. Everything runs on one thread. Figures are kept in a cache by the samples'
hash, since JPEG XL at effort 9 takes minutes.
"""
import functools
import json
import lzma
import time
from dataclasses import asdict, dataclass
from pathlib import Path
import imagecodecs
import jpeg_ls
import numpy
import zstandard

SLOW_FRAMES_MAX = 8
"""Items of more frames are not coded at effort 9: it gains half a per cent over effort 7 at a quarter of its speed."""


@dataclass
class Figure:
    """What a codec made of an item; no bytes if it could not, and then why."""

    coded_bytes: int | None
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    reason: str = ""


def depth(samples):
    return max(int(samples.max()).bit_length(), 2)


def jpeg_ls_encode(frame, bits):
    rows, columns = frame.shape[:2]
    planes = frame.transpose(2, 0, 1) if frame.ndim == 3 else frame
    count = planes.size // (rows * columns)
    try:
        return jpeg_ls.encode_buffer(planes.tobytes(), rows, columns, count, bits, interleave_mode=0)
    except RuntimeError:
        # Its buffer has no room for a picture of a few pixels that grows; imagecodecs has, but takes no true depth.
        return imagecodecs.jpegls_encode(frame)


def jpeg_ls_decode(coded):
    return jpeg_ls.decode(numpy.frombuffer(coded, numpy.uint8))


def jpeg_xl(effort):
    encode = functools.partial(imagecodecs.jpegxl_encode, lossless=True, effort=effort, usecontainer=False, numthreads=1)
    return lambda frame, bits: encode(frame, bitspersample=bits)


def jpeg_2000_encode(frame, bits):
    return imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k", bitspersample=bits, numthreads=1)


def htj2k_encode(frame, _bits):
    return imagecodecs.htj2k_encode(frame, reversible=True)


FRAME_CODECS = {
    "JPEG-LS": (jpeg_ls_encode, jpeg_ls_decode),
    "JPEG XL e7": (jpeg_xl(7), imagecodecs.jpegxl_decode),
    "JPEG XL e9": (jpeg_xl(9), imagecodecs.jpegxl_decode),
    "JPEG 2000": (jpeg_2000_encode, imagecodecs.jpeg2k_decode),
    "HTJ2K": (htj2k_encode, imagecodecs.htj2k_decode),
}
BYTE_CODECS = {
    "zstd-19": (zstandard.ZstdCompressor(level=19).compress, zstandard.ZstdDecompressor().decompress),
    "xz": (functools.partial(lzma.compress, preset=9), lzma.decompress),
}
NAMES = [*FRAME_CODECS, *BYTE_CODECS]


def code_frames(samples, encode, decode):
    bits, coded_bytes, encode_seconds, decode_seconds = depth(samples), 0, 0.0, 0.0
    for frame in samples.squeeze(3) if samples.shape[3] == 1 else samples:
        coded, seconds = timed(encode, frame, bits)
        again, seconds_again = timed(decode, coded)
        if not numpy.array_equal(numpy.asarray(again).reshape(frame.shape), frame):
            raise ValueError("decodes to other samples")
        coded_bytes += len(coded)
        encode_seconds += seconds
        decode_seconds += seconds_again
    return Figure(coded_bytes, encode_seconds, decode_seconds)


def code_bytes(data, encode, decode):
    coded, encode_seconds = timed(encode, data)
    again, decode_seconds = timed(decode, coded)
    if again != data:
        raise ValueError("decodes to other bytes")
    return Figure(len(coded), encode_seconds, decode_seconds)


def timed(work, *given):
    start = time.process_time()
    result = work(*given)
    return result, time.process_time() - start


class Cache:
    """Figures by what was coded and by which codec, in a file that a stopped run leaves whole."""

    def __init__(self, path):
        self.path = Path(path)
        self.figures = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                entry = json.loads(line)
                key = entry.pop("key")
                self.figures[key] = Figure(**entry)

    def get(self, key, make):
        if key not in self.figures:
            try:
                self.figures[key] = make()
            except Exception as error:
                # Not kept for the next run: by then another version may do it.
                return Figure(None, reason=(str(error).splitlines() or [type(error).__name__])[0][:100])
            with self.path.open("a") as file:
                file.write(json.dumps({"key": key, **asdict(self.figures[key])}) + "\n")
        return self.figures[key]


def measure(item, cache):
    """{codec: Figure} of an item."""
    samples = functools.cache(lambda: narrowed(item.samples()))
    figures = {}
    for name in NAMES:
        if name == "JPEG XL e9" and item.frames > SLOW_FRAMES_MAX:
            continue
        if name in FRAME_CODECS:
            make = lambda: code_frames(samples(), *FRAME_CODECS[name])
        else:
            make = lambda: code_bytes(samples().tobytes(), *BYTE_CODECS[name])
        figures[name] = cache.get(f"{name} {imagecodecs.__version__} {item.digest}", make)
    return figures


def narrowed(samples):
    return samples.astype(numpy.uint8) if samples.max() < 256 else samples
