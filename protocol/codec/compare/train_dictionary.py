"""Trains src/header/dictionary.bin: typical headers, read by the model before the first of a group.

    python3 -m venv venv && venv/bin/pip install pydicom==3.0.2 pydicom-data==1.0.0
    venv/bin/python train_dictionary.py ../src/header/dictionary.bin [--without WORD ...]

Out of the MIT-licensed files of both packages it takes those headers that tell most about the others, element by
element, until BYTES_MAX is reached. Values that could name a person, a place or an examination are replaced by made-up
ones of the same length before anything else is done (see `blanked`). The same packages give the same bytes. A new
dictionary is a new number in the stream (see dictionary.rs): the old file stays, or old streams could not be read.

Layout, deflated (zlib): each header as its length (u16, little endian) and its bytes.
"""

import argparse
import hashlib
import importlib.util
import pathlib
import re
import sys
import zlib
from collections import Counter

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

BYTES_MAX = 64 * 1024
VALUE_BYTES_MAX = 96
ITEMS_MAX = 2

# Roots of devices and toolkits that occur in practice; what follows them is replaced.
ROOTS = re.compile(
    r"(1\.2\.840\.(113619|113654|113663|113674|113681|113704|114257|11361\d)|1\.3\.12\.2\.1107(\.5\.\d+)?"
    r"|1\.3\.46\.670589(\.\d\d?\.\d)?|1\.2\.392\.200036(\.\d{4})?|1\.2\.276\.0\.\d+|1\.2\.826\.0\.1\.3680043(\.\d)?"
    r"|1\.3\.6\.1\.4\.1\.\d{4,5}|1\.2\.124\.113532|2\.16\.840\.1\.\d{6}|1\.2\.250\.1\.\d+|2\.25)\."
)
NAMES = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE", "UR"}
# Texts that tell of a device, a method or a code, never of a person or place.
PLAIN = {
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel", "FilterType", "SequenceName",
    "ProtocolName", "SeriesDescription", "ScanOptions", "CodeValue", "CodeMeaning", "CodingSchemeDesignator",
    "CodingSchemeVersion", "ImplementationVersionName", "TransmitCoilName", "ReceiveCoilName", "RescaleType",
    "WindowCenterWidthExplanation", "LUTExplanation", "DetectorID", "SequenceVariant", "ContrastBolusAgent",
    "ApplicationSetupName", "DimensionDescriptionLabel", "SegmentLabel", "TimezoneOffsetFromUTC", "ContextIdentifier",
    "MappingResource", "PulseSequenceName", "DataPathID", "TransducerData", "DerivationDescription",
}


def files_of(package):
    root = pathlib.Path(importlib.util.find_spec(package).origin).parent
    return sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc", ".json"})


def digits(text, seed):
    """Made-up digits in place of digits, from nothing of the text but its length."""
    stream = hashlib.sha256(f"{seed}{len(text)}".encode()).hexdigest() * 4
    made = iter(str(int(c, 16) % 9 + 1) for c in stream)
    return "".join(next(made) if c.isdigit() else c for c in text)


def blanked(element):
    """The element without what could name somebody, or None to leave it out."""
    keyword, vr = element.keyword, element.VR
    private = element.tag.is_private and not element.tag.is_private_creator
    if vr == "SQ":
        return element
    values = element.value if element.VM > 1 else [element.value]
    if vr == "UI":
        element.value = [uid if str(uid).startswith("1.2.840.10008.") else made_uid(str(uid)) for uid in values if uid]
    elif vr == "DA":
        element.value = ["20010101" if value else "" for value in values]
    elif vr == "TM":
        element.value = ["120000" + str(value)[6:7] + "0" * (len(str(value)) - 7) if value else "" for value in values]
    elif vr == "DT":
        element.value = ["20010101120000" if value else "" for value in values]
    elif keyword in ("PatientWeight", "PatientSize"):
        element.value = "70" if element.value else None
    elif vr == "AS":
        element.value = "050Y" if element.value else ""
    elif vr == "PN":
        element.value = "Name^Name" if element.value else ""
    elif vr in NAMES and keyword not in PLAIN and not element.tag.is_private_creator:
        if element.tag.group == 0x0010 or private:
            element.value = "" if not element.value else "1" * min(len(str(element.value)), 8)
        else:
            element.value = "" if not element.value else "A" * min(len(str(element.value)), 12)
    elif private and isinstance(element.value, bytes):
        if len(element.value) > 16:
            return None
    return element


def made_uid(uid):
    root = ROOTS.match(uid)
    root = root.group(0) if root else "1.2.840.113619."
    return UID(root + digits(uid[len(root):], "uid")) if len(uid) > len(root) else UID(root + "1")


def shortened(dataset):
    """A header without pixels, without long values, with the first items of each sequence."""
    for element in list(dataset):
        tag = element.tag
        if tag.group >= 0x5000 or tag.element == 0:
            del dataset[tag]
        elif element.VR == "SQ":
            items = [shortened(item) for item in element.value[:ITEMS_MAX]]
            dataset[tag].value = Sequence(items)
        else:
            kept = blanked(element)
            length = len(str(kept.value)) if kept is not None else 0
            if kept is None or (isinstance(kept.value, (str, bytes, list)) and length > 4 * VALUE_BYTES_MAX):
                del dataset[tag]
    return dataset


def encoded(dataset, implicit):
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, implicit
    write_dataset(out, dataset)
    return out.getvalue()


class Header:
    """A header as the elements it has at its top, each in its bytes."""

    def __init__(self, path):
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        if "SOPClassUID" not in dataset:
            raise ValueError("no object")
        self.path = path
        self.implicit = dataset.file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2"
        self.kind = str(dataset.get("SOPClassUID"))
        self.maker = str(dataset.get("Manufacturer"))
        meta = shortened(dataset.file_meta)
        dataset = shortened(dataset)
        if "SOPInstanceUID" in dataset:
            meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        self.elements = []
        for part, implicit in ((meta, False), (dataset, self.implicit)):
            for element in part:
                try:
                    one = pydicom.Dataset()
                    one[element.tag] = element
                    data = encoded(one, implicit)
                except Exception:
                    continue
                if len(data) <= VALUE_BYTES_MAX * (20 if element.VR == "SQ" else 1):
                    self.elements.append((int(element.tag), element.VR, data))

    def features(self):
        for tag, vr, data in self.elements:
            yield (self.implicit, tag, vr)
            yield (self.implicit, tag, data)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--without", nargs="*", default=[], help="leave out files with one of these words in the path")
    arguments.add_argument("--bytes", type=int, default=BYTES_MAX)
    arguments = arguments.parse_args()
    headers, seen = [], set()
    for package in ("pydicom", "data_store"):
        for path in files_of(package):
            if any(word in str(path) for word in arguments.without):
                continue
            try:
                header = Header(path)
            except Exception:
                continue
            bytes_of = b"".join(data for _, _, data in header.elements)
            if bytes_of not in seen:
                seen.add(bytes_of)
                headers.append(header)
    # A feature counts once a kind of object and maker, or a folder of slices would outvote all others.
    sources = Counter()
    for feature, _ in {(f, (h.kind, h.maker)) for h in headers for f in h.features()}:
        sources[feature] += 1
    known, chosen, size = Counter(), [], 0
    left = list(headers)
    while left:
        def worth(header):
            gain = sum(sources[f] / (1 + known[f]) ** 2 for f in header.features() if sources[f] > 1 or not known[f])
            length = sum(len(data) for _, _, data in header.elements)
            return gain / (length + 300)
        best = max(left, key=lambda header: (worth(header), str(header.path)))
        left.remove(best)
        kept = [(tag, vr, data) for tag, vr, data in best.elements if known[(best.implicit, tag, data)] < 3]
        body = b"".join(data for _, _, data in kept)
        meta = any(tag >> 16 == 2 for tag, _, _ in kept)
        if meta:
            body = b"\0" * 128 + b"DICM" + body
        if size + len(body) > arguments.bytes:
            if size > arguments.bytes * 0.97:
                break
            continue
        for tag, vr, data in kept:
            known[(best.implicit, tag, vr)] += 1
            known[(best.implicit, tag, data)] += 1
        size += len(body)
        chosen.append((best, body))
    # The best come last: what is nearest is remembered best.
    out = b"".join(len(body).to_bytes(2, "little") + body for _, body in reversed(chosen))
    arguments.out.write_bytes(zlib.compress(out, 9))
    print(f"{len(headers)} headers, {len(chosen)} chosen, {len(out)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
