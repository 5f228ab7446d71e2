"""Our codec against the others, on folders of DICOM: tables, a picture, and whether every file came back.

`run` beside this file installs what is needed and calls it. Pixels are compared on items (see items.py), each codec
on the same samples; whole files are compared as they were received, header and all. Exits with 1 if a file did not
come back byte for byte.
"""
import argparse
import functools
import importlib.util
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
import zstandard
import items as reading
import ours
import peers
import report

PACKAGES = {
    "pydicom": ("pydicom", "data"),
    "pydicom-data": ("data_store", "data"),
    "deid-data": ("deid_data", "data"),
    "pynetdicom": ("pynetdicom", "tests/dicom_files"),
}
"""Real DICOM files inside the packages that requirements.txt pins: the module, and the folder in it."""


@dataclass
class Row:
    """An item and what every codec made of it."""

    item: reading.Item
    ours: dict
    peers: dict

    def bytes(self, codec):
        if codec.startswith("ours "):
            return self.ours[codec[5:]].pixel_bytes
        return self.peers[codec].coded_bytes if codec in self.peers else None

    def seconds(self, codec, way):
        figure = self.ours[codec[5:]] if codec.startswith("ours ") else self.peers[codec]
        return getattr(figure, f"{way}_seconds")


@dataclass
class Whole:
    """The files of a Series, or one other file, as received."""

    paths: list
    syntax: str
    zstd_bytes: int
    ours: dict

    @property
    def is_dicom(self):
        return bool(self.syntax)

    @property
    def count(self):
        return len(self.paths)

    def bytes(self, codec):
        if codec == "received":
            return self.ours["max"].received_bytes
        return self.zstd_bytes if codec == "zstd-19" else self.ours[codec[5:]].coded_bytes

    def equal(self, codec):
        return self.ours[codec[5:]].equal


def main():
    options = arguments()
    out, scratch = Path(options.out), Path(options.out) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    folders = package_folders() if options.packages else {}
    for folder in map(Path, options.folders):
        folders[str(folder) if folder.name in folders else folder.name] = folder
    warnings.simplefilter("ignore")
    files, items, reasons = reading.survey(folders, scratch)
    print(f"{len(files)} files, {len(items)} items", file=sys.stderr)

    cache = peers.Cache(out / "peers.jsonl")
    figures = []
    for item in items:
        print(f"{item.name}: {item.kind}, {item.raw_bytes:,} B", file=sys.stderr)
        figures.append(peers.measure(item, cache))
    measure = functools.partial(ours.measure, options.measure, repeat=options.repeat)
    wholes = whole_files(files, items, measure, cache)
    native = native_forms(items, wholes, measure, scratch)
    rows = [Row(item, native[item.name], figure) for item, figure in zip(items, figures, strict=True)]

    (out / "items.tsv").write_text(report.full_list(rows))
    (out / "left-out.tsv").write_text("".join(f"{name}\t{reason}\n" for name, reason in sorted(reasons.items())))
    if rows:
        import picture  # matplotlib is slow to load, so only where something is to be drawn

        drawn = Path(options.docs).parent / "codec.png" if options.docs else out / "codec.png"
        picture.draw(rows, drawn)
    text = report.docs(rows, wholes, reasons, "codec.png")
    (out / "tables.md").write_text(text)
    print(text)
    if options.docs:
        report.put_between_markers(options.docs, text)
    lost = [whole for whole in wholes if not all(whole.equal(report.ours_name(profile)) for profile in ours.PROFILES)]
    return 1 if lost else 0


def whole_files(files, items, measure, cache):
    """Every file once: those of a Series together, in the item's order, and each other one alone."""
    syntaxes = {file.path: file.syntax for file in files}
    groups = {item.name: [image.path for image in item.images] for item in items if len(item.images) > 1}
    together = {path for paths in groups.values() for path in paths}
    groups |= {file.name: [file.path] for file in files if file.path not in together}
    assert sum(map(len, groups.values())) == len(files), "two files have one name"
    coded = measure(groups)
    return [
        Whole(paths, syntaxes[paths[0]], sum(zstd_bytes(path, cache) for path in paths), coded[name])
        for name, paths in groups.items()
    ]


def native_forms(items, wholes, measure, scratch):
    """{item: {profile: Coded}} of the items in native form, of which most came in it and are measured already."""
    paths = {item.name: ours.native_files(item, scratch) for item in items}
    measured = {tuple(whole.paths): whole.ours for whole in wholes}
    anew = measure({name: files for name, files in paths.items() if tuple(files) not in measured})
    return {name: anew.get(name) or measured[tuple(files)] for name, files in paths.items()}


def zstd_bytes(path, cache):
    data = path.read_bytes()
    key = f"whole zstd-19 {zstandard.ZSTD_VERSION} {reading.sha256(data)}"
    return cache.get(key, lambda: peers.code_bytes(data, *peers.BYTE_CODECS["zstd-19"])).coded_bytes


def package_folders():
    return {name: Path(importlib.util.find_spec(module).origin).parent / folder for name, (module, folder) in PACKAGES.items()}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="folders of DICOM files; zip files inside are opened")
    parser.add_argument("--packages", action="store_true", help="also the files of pydicom, pydicom-data, deid-data and pynetdicom")
    parser.add_argument("--repeat", type=int, default=1, help="runs of our codec, of which the median time counts")
    parser.add_argument("--docs", help="page whose tables, between its markers, are written anew; the picture beside it")
    parser.add_argument("--out", required=True, help="folder for the lists, the picture and what is kept between runs")
    parser.add_argument("--measure", required=True, help="the program built of examples/measure.rs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
