"""Makes the streams of this folder: tests/data/pydicom/MR_small_implicit.dcm by zlib 1.2.13, at every level.

LEVEL-MEMORY.deflate is raw deflate (RFC 1951) in one call; 6-8-chunks was given 512 bytes at a time, as DCMTK does.
"""

import pathlib
import zlib

HERE = pathlib.Path(__file__).parent
PLAIN = (HERE.parents[3] / "tests/data/pydicom/MR_small_implicit.dcm").read_bytes()


def stream(level, memory, step):
    coder = zlib.compressobj(level, zlib.DEFLATED, -15, memory)
    return b"".join(coder.compress(PLAIN[at : at + step]) for at in range(0, len(PLAIN), step)) + coder.flush()


for level in range(1, 10):
    (HERE / f"{level}-8.deflate").write_bytes(stream(level, 8, len(PLAIN)))
(HERE / "6-9.deflate").write_bytes(stream(6, 9, len(PLAIN)))
(HERE / "6-8-chunks.deflate").write_bytes(stream(6, 8, 512))
