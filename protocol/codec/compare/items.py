"""Folders of DICOM files to items: what every codec of the comparison is given, and what none can be given.

An item is one picture, one cine or one Series: the samples of Instances that share a Series Instance UID and a
geometry, in order of Instance Number. The rule: no file is left out in silence. A file that holds no image, can't be
decoded, or repeats the samples of another in other bytes is listed with the reason. An image that reaches a clinic
lossy (JPEG baseline, JPEG 2000 irreversible) is no item either: nobody would code its decoded samples, so it counts
among the whole files only. Decoding is pydicom's (DICOM PS3.5 section 8); nothing of radmesh is used here.
"""
import hashlib
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
import numpy
from pydicom import dcmread
from pydicom.uid import (
    HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless,
)

LOSSLESS = {HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless}
TAKEN = (
    "ImagePositionPatient", "AcquisitionNumber", "AcquisitionTime", "ContentTime", "EchoTime", "TriggerTime",
    "TemporalPositionIdentifier", "DiffusionBValue",
)
MADE_BY_TOOLS = {"__MACOSX", "__pycache__"}
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)


@dataclass
class File:
    """A file as it lies there, DICOM or not."""

    name: str
    path: Path
    syntax: str  # none where it is no DICOM file


@dataclass
class Image:
    """A file whose samples could be decoded."""

    path: Path
    name: str
    modality: str
    native: bool  # its samples lie in the file as they are
    series: str
    number: int
    taken: tuple  # where and when, as far as it is said
    geometry: tuple  # rows, columns, samples a pixel, bits allocated, signed
    frames: int
    digest: str


@dataclass
class Item:
    """The samples of one picture, cine or Series."""

    name: str
    modality: str
    images: list = field(default_factory=list)

    @property
    def digest(self):
        return sha256("".join(image.digest for image in self.images).encode())

    @property
    def frames(self):
        return sum(image.frames for image in self.images)

    @property
    def samples_count(self):
        rows, columns, samples_per_pixel, _bits, _signed = self.images[0].geometry
        return self.frames * rows * columns * samples_per_pixel

    @property
    def raw_bytes(self):
        return self.samples_count * (1 if self.images[0].geometry[3] <= 8 else 2)

    @property
    def kind(self):
        if len(self.images) > 1:
            return "Series"
        if self.frames > 1:
            return "multi-frame"
        return "8 bit" if self.images[0].geometry[3] <= 8 else "9-16 bit"

    def samples(self):
        """Frames x rows x columns x samples a pixel, less the least of them: u8 if allocated in 8 bits, else u16."""
        arrays = [decoded(dcmread(image.path, force=True)) for image in self.images]
        least = min(int(array.min()) for array in arrays)
        wide = numpy.uint8 if self.images[0].geometry[3] <= 8 else numpy.uint16
        return numpy.concatenate([(array.astype(numpy.int32) - least).astype(wide) for array in arrays])


def decoded(dataset):
    """Frames x rows x columns x samples a pixel, as stored: before any look-up table and any change of colour space."""
    shape = (-1, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    return numpy.ascontiguousarray(dataset.pixel_array).reshape(shape)


def samples_digest(dataset):
    """Equal for two files that show the same, in whatever form."""
    return digest_of(decoded(dataset))


def digest_of(array):
    array = (array.astype(numpy.int32) - int(array.min())).astype(numpy.uint16)
    return sha256(repr(array.shape).encode() + array.tobytes())


def survey(folders, scratch):
    """All files of {label: folder}: (files, items, {name: why it is no item}). A zip file's members count as files."""
    files, images, left_out = [], [], {}
    for label, folder in folders.items():
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            if zipfile.is_zipfile(path):
                inside = Path(scratch) / sha256(str(path).encode())[:16]
                zipfile.ZipFile(path).extractall(inside)
                found = [(each, f"{path.relative_to(folder)}/{each.relative_to(inside)}") for each in inside.rglob("*")]
            else:
                found = [(path, str(path.relative_to(folder)))]
            for each, name in found:
                if each.is_file() and not MADE_BY_TOOLS & set(each.parts):
                    take(each, f"{label}/{name}", files, images, left_out)
    return files, grouped(images, left_out), left_out


def take(path, name, files, images, left_out):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path, force=True)
            dicom = dataset.preamble or any(dataset.get(uid) for uid in ("SOPClassUID", "StudyInstanceUID"))
        except Exception as error:
            left_out[name] = f"pydicom can't read it: {said_by(error)}"
            dicom = False
        if not dicom:
            files.append(File(name, path, ""))
            left_out.setdefault(name, "no DICOM file")
            return
        syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
        files.append(File(name, path, syntax.name if syntax else "not said"))
        if not any(tag in dataset for tag in PIXELS):
            left_out[name] = "holds no image"
            return
        try:
            images.append(image(path, name, dataset))
        except Exception as error:
            left_out[name] = said_by(error)


def image(path, name, dataset):
    syntax = dataset.file_meta.TransferSyntaxUID
    native = not (syntax.is_compressed or syntax.is_deflated)
    if not (native or syntax.is_deflated or syntax in LOSSLESS):
        raise ValueError(f"arrives lossy ({syntax.name}): counted as a whole file")
    bits = dataset.BitsAllocated
    if bits > 16:
        raise ValueError(f"{bits} bits a sample: more than the other codecs take")
    array = decoded(dataset)
    return Image(
        path=path,
        name=name,
        modality=str(dataset.get("Modality") or "none"),
        native=native,
        series=str(dataset.get("SeriesInstanceUID") or name),
        number=int(dataset.get("InstanceNumber") or 0),
        taken=tuple(str(dataset.get(each)) for each in TAKEN),
        geometry=(*array.shape[1:], bits, int(dataset.get("PixelRepresentation", 0))),
        frames=array.shape[0],
        digest=digest_of(array),
    )


def grouped(images, left_out):
    """Items. Of two images with the same samples a native one stays."""
    firsts = {}
    for each in sorted(images, key=lambda each: (not each.native, each.name)):
        first = firsts.get(each.digest)
        if first:
            left_out[each.name] = f"the same samples as {first.name}"
        else:
            firsts[each.digest] = each
    items = {}
    for each in sorted(firsts.values(), key=lambda each: (each.number, each.name)):
        key = (each.series, each.geometry)
        # Two of one place and moment are versions of one picture, as before and after a lossy coder: no Series.
        if each.frames > 1 or key in items and any(each.taken == other.taken for other in items[key].images):
            key = each.name
        items.setdefault(key, Item(each.name, each.modality)).images.append(each)
    for item in items.values():
        if len(item.images) > 1:
            item.name = str(Path(item.name).parent)
    named = set()
    for item in items.values():
        while item.name in named:
            item.name += "'"
        named.add(item.name)
    return sorted(items.values(), key=lambda item: item.name)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def said_by(error):
    return " ".join(str(error).split())[:160] or type(error).__name__
