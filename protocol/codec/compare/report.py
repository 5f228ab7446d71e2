"""Figures to Markdown: the tables of docs/codec.md, and the full lists beside them.

A ratio is always of the same items on both sides: one that a codec could not code is taken from both sums. Bits a
sample and MB/s are of all samples of a row together, so a large image weighs more than a small one.
"""
from pathlib import Path
from ours import PROFILES
from peers import NAMES, SLOW_FRAMES_MAX

KINDS = ("9-16 bit", "8 bit", "multi-frame", "Series")
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"
ROW_BYTES_MIN = 256 * 1024
"""Items smaller than this say nothing of a speed."""


def ours_name(profile):
    return f"ours {profile}"


CODECS = [*map(ours_name, PROFILES), *NAMES]


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def ratio(rows, ours, theirs):
    """Bytes of `ours` to bytes of `theirs`, over the items that both coded."""
    both = [row for row in rows if row.bytes(ours) is not None and row.bytes(theirs) is not None]
    whole = sum(row.bytes(theirs) for row in both)
    return f"{sum(row.bytes(ours) for row in both) / whole:.3f}" if whole else "-"


def bits(rows, codec):
    coded = [row for row in rows if row.bytes(codec) is not None]
    samples = sum(row.item.samples_count for row in coded)
    # A codec that could not code all of a row's items would be compared on others than its neighbours.
    return f"{8 * sum(row.bytes(codec) for row in coded) / samples:.3f}" if len(coded) == len(rows) and samples else "-"


def speed(rows, codec, way):
    rows = [row for row in rows if row.bytes(codec) is not None and row.item.raw_bytes >= ROW_BYTES_MIN]
    seconds = sum(row.seconds(codec, way) for row in rows)
    return f"{sum(row.item.raw_bytes for row in rows) / seconds / 1e6:.1f}" if seconds else "-"


def goals(rows, files):
    """The figures that were asked for."""
    series = [row for row in rows if row.item.kind == "Series"]
    dicom = [file for file in files if file.is_dicom]
    lossless_jpeg = [file for file in dicom if file.syntax.startswith("JPEG Lossless")]
    asked = [
        ("all items against JPEG-LS at true depth", "<= 0.77", lambda ours: ratio(rows, ours, "JPEG-LS")),
        ("all items against JPEG XL e7", "<= 0.87", lambda ours: ratio(rows, ours, "JPEG XL e7")),
        (f"items of <= {SLOW_FRAMES_MAX} frames against JPEG XL e9", "<= 0.93", lambda ours: ratio(rows, ours, "JPEG XL e9")),
        ("Series against JPEG XL e7", "<= 0.81", lambda ours: ratio(series, ours, "JPEG XL e7")),
        ("Series against JPEG-LS", "<= 0.72", lambda ours: ratio(series, ours, "JPEG-LS")),
        ("whole files against zstd-19 of each", "<= 0.50", lambda ours: ratio(dicom, ours, "zstd-19")),
        ("JPEG lossless inputs, whole files against as received", "<= 0.65", lambda ours: ratio(lossless_jpeg, ours, "received")),
        ("items larger than JPEG XL e7", "none", lambda ours: f"{len(larger(rows, ours))} of {len(rows)}"),
        ("files that came back, by SHA-256", "all", lambda ours: came_back(files, ours)),
        ("MB/s coding, decoding again included", "1.5 / 4", lambda ours: speed(rows, ours, "encode")),
        ("MB/s decoding", "1.5 / 4", lambda ours: speed(rows, ours, "decode")),
    ]
    head = ["figure", "goal", *map(ours_name, PROFILES)]
    return table(head, [[text, goal, *(figure(ours_name(profile)) for profile in PROFILES)] for text, goal, figure in asked])


def larger(rows, ours):
    both = [row for row in rows if row.bytes("JPEG XL e7") is not None]
    return [row for row in both if row.bytes(ours) > row.bytes("JPEG XL e7")]


def came_back(files, ours):
    count = sum(file.count for file in files)
    equal = sum(file.count for file in files if file.equal(ours))
    return f"{equal} of {count}"


def bits_by(rows, key, names):
    chosen = [(name, [row for row in rows if key(row) == name]) for name in names]
    rows_of = [[f"{name} ({len(some)})", f"{sum(row.item.raw_bytes for row in some) / 1e6:.1f}"]
               + [bits(some, codec) for codec in CODECS] for name, some in chosen if some]
    return table(["", "MB", *CODECS], rows_of)


def modalities(rows):
    return sorted({row.item.modality for row in rows})


def speeds(rows):
    ways = [[codec, speed(rows, codec, "encode"), speed(rows, codec, "decode")] for codec in CODECS]
    return table(["MB/s of raw pixels, one thread", "coding", "decoding"], ways)


def by_syntax(files):
    rows = []
    for syntax in sorted({file.syntax for file in files if file.is_dicom}):
        some = [file for file in files if file.syntax == syntax]
        sizes = [sum(file.bytes(codec) for file in some) for codec in ("received", "zstd-19", *map(ours_name, PROFILES))]
        rows.append([syntax, sum(file.count for file in some), *(f"{size:,}" for size in sizes), f"{sizes[2] / sizes[1]:.3f}"])
    return table(["transfer syntax", "files", "received", "zstd-19 of each", *map(ours_name, PROFILES), "max / zstd-19"], rows)


def lost_to_jpeg_xl(rows):
    ours = ours_name("max")
    lines = [[row.item.name, row.item.kind, row.bytes(ours), row.bytes("JPEG XL e7"),
              f"{row.bytes(ours) / row.bytes('JPEG XL e7'):.3f}"] for row in larger(rows, ours)]
    lines.sort(key=lambda line: -float(line[-1]))
    return table(["item", "kind", ours, "JPEG XL e7", "ratio"], lines) if lines else "None.\n"


def uncoded(rows):
    """Which codec could not code which item."""
    failed = [(row.item.name, codec, figure.reason) for row in rows for codec, figure in row.peers.items()
              if figure.coded_bytes is None]
    return "".join(f"- {codec} can't code {name}: {reason}\n" for name, codec, reason in failed)


def left_out(reasons):
    """What is no item, by reason; files that pydicom should have decoded are named."""
    counts, named = {}, []
    for name, reason in sorted(reasons.items()):
        for plain in ("the same samples as", "arrives lossy", "holds no image", "no DICOM file", "32 bits a sample"):
            if reason.startswith(plain):
                counts[plain] = counts.get(plain, 0) + 1
                break
        else:
            named.append(f"- {name}: {reason}\n")
    words = {"the same samples as": "the same samples as another", "arrives lossy": "arrive lossy",
             "32 bits a sample": "32 bits a sample, more than the others take"}
    listed = "; ".join(f"{words.get(plain, plain)}: {count}" for plain, count in counts.items())
    return f"Files that are no item of the pixel tables, though coded and decoded as whole files: {listed}. Not decodable:\n\n{''.join(named)}"


def docs(rows, files, reasons, picture):
    """What stands between the markers of docs/codec.md."""
    return "\n".join([
        goals(rows, files),
        f"![Bits a sample of each modality, and bytes against speed]({picture})\n",
        "Bits a sample, by kind of item (number of items):\n",
        bits_by(rows, lambda row: row.item.kind, KINDS),
        "By modality:\n",
        bits_by(rows, lambda row: row.item.modality, modalities(rows)),
        speeds(rows),
        "Whole files, headers and pixels, bytes:\n",
        by_syntax(files),
        "Items larger than with JPEG XL e7:\n",
        lost_to_jpeg_xl(rows),
        uncoded(rows),
        left_out(reasons),
    ])


def put_between_markers(path, text):
    page = Path(path).read_text()
    before, rest = page.split(BEGIN, 1)
    _old, after = rest.split(END, 1)
    Path(path).write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}")


def full_list(rows):
    """Every item, every codec, in tab separated values."""
    head = ["item", "modality", "kind", "frames", "raw", *CODECS]
    lines = [head] + [[row.item.name, row.item.modality, row.item.kind, row.item.frames, row.item.raw_bytes]
                      + [row.bytes(codec) for codec in CODECS] for row in rows]
    return "".join("\t".join("" if field is None else str(field) for field in line) + "\n" for line in lines)
