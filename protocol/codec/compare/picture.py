"""Figures to a picture: bits a sample of every modality, and all bytes against speed.

Shorter bars are better; in the lower half, further down is fewer bytes and further right is faster.
"""
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot
from report import CODECS, bits, modalities, ratio, speed

COLOURS = ["#b5121b", "#f0868c", "#1f4e79", "#2e86c1", "#85c1e9", "#7d6608", "#d4ac0d", "#717d7e", "#bfc9ca"]


def draw(rows, path):
    figure, (bars, dots) = pyplot.subplots(2, 1, figsize=(11, 9), height_ratios=(1.1, 1))
    names = modalities(rows)
    width = 0.86 / len(CODECS)
    for place, (codec, colour) in enumerate(zip(CODECS, COLOURS, strict=True)):
        heights = [bits([row for row in rows if row.item.modality == name], codec) for name in names]
        shown = [(at, float(height)) for at, height in enumerate(heights) if height != "-"]
        bars.bar([at + (place - len(CODECS) / 2 + 0.5) * width for at, _ in shown], [height for _, height in shown],
                 width, label=codec, color=colour)
    bars.set_xticks(range(len(names)), names)
    bars.set_ylabel("bits a sample")
    bars.set_title("Lossless, by modality: fewer bits are better")
    bars.legend(ncols=5, fontsize=8)

    for codec, colour in zip(CODECS, COLOURS, strict=True):
        against = against_jpeg_ls(rows, codec)
        for way, marker in (("encode", "o"), ("decode", "^")):
            megabytes = speed(rows, codec, way)
            if "-" not in (against, megabytes):
                dots.plot(float(megabytes), float(against), marker, color=colour, markersize=8)
                if way == "encode":
                    dots.annotate(codec, (float(megabytes), float(against)), (6, 4), textcoords="offset points", fontsize=8)
    dots.set_xscale("log")
    dots.set_xlabel("MB/s of raw pixels on one thread (circle: coding, triangle: decoding)")
    dots.set_ylabel("bytes against JPEG-LS")
    dots.set_title("Bytes against speed")
    dots.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=90, metadata={"Software": None})


def against_jpeg_ls(rows, codec):
    """Bytes to those of JPEG-LS. Effort 9 is not run on long items: it is placed by what it gains over effort 7."""
    if codec != "JPEG XL e9":
        return ratio(rows, codec, "JPEG-LS")
    both = [ratio(rows, codec, "JPEG XL e7"), ratio(rows, "JPEG XL e7", "JPEG-LS")]
    return "-" if "-" in both else float(both[0]) * float(both[1])
