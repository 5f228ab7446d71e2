"""Makes the frames of this folder: small images of our own, coded by encoders that hospitals run.

Needs DCMTK (3.6.7), GDCM (3.0.21) and pydicom (3.0.2, with pylibjpeg-rle 2.2.0). Encoders change; the files are
what these versions wrote. IMAGE.raw has the samples, 16-bit little endian, plane after plane; IMAGE.ENCODER one frame.
"""

import pathlib
import subprocess
import tempfile

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

HERE = pathlib.Path(__file__).parent
CHANCE = np.random.default_rng(7)


def smooth(width, height, top, noise):
    """A hill with noise, and a flat patch in which runs are found."""
    y, x = np.mgrid[0:height, 0:width]
    hill = (np.sin(x / 5) + np.cos(y / 4) + 2) / 4 * top
    image = (hill + CHANCE.normal(0, noise, hill.shape)).clip(0, top).astype(int)
    image[3:9, 4 : width // 2] = top // 3
    return image


DCMTK = {
    "dcmtk-e1": ["dcmcjpeg", "+e1"],
    "dcmtk-e1-pt": ["dcmcjpeg", "+e1", "+pt", "1"],
    **{f"dcmtk-el{p}": ["dcmcjpeg", "+el", "+sv", str(p)] for p in range(2, 8)},
    "dcmtk-jls": ["dcmcjpls"],
    "dcmtk-jls-sample": ["dcmcjpls", "+is"],
    "dcmtk-jls-none": ["dcmcjpls", "+in"],
    "dcmtk-jls-preset": ["dcmcjpls", "+t1", "4", "+t2", "9", "+t3", "25", "+rs", "31"],
    **{f"dcmtk-near{near}": ["dcmcjpls", "+en", "+md", str(near)] for near in (1, 3, 40)},
    "dcmtk-near5-sample": ["dcmcjpls", "+en", "+md", "5", "+is"],
    "dcmtk-rle": ["dcmcrle"],
}
GDCM = {
    "gdcm-jpeg": ["gdcmconv", "--jpeg"],
    "gdcm-jls": ["gdcmconv", "--jpegls"],
    "gdcm-rle": ["gdcmconv", "--rle"],
}
PYDICOM = ["pydicom", "pylibjpeg"]
# Samples, bits, and the ways of DCMTK's that are told apart by them.
IMAGES = {
    "grey8": (smooth(29, 24, 255, 3), 8, ["e1", "jls", "near1", "near40", "rle"]),
    "grey12": (smooth(31, 19, 4095, 20), 12, ["el2", "el3", "el4", "el5", "el6", "el7", "jls", "jls-preset", "near3"]),
    "grey16": (
        np.where(CHANCE.random((17, 21)) < 0.3, 65535, CHANCE.integers(0, 65536, (17, 21))),
        16,
        ["e1", "e1-pt", "jls", "near40", "rle"],
    ),
    "rgb8": (
        np.stack([smooth(25, 18, 255, noise) for noise in (0, 1, 6)], axis=-1),
        8,
        ["e1", "jls", "jls-sample", "jls-none", "near3", "near5-sample", "rle"],
    ),
}


def instance(image, bits):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = "1.2.3", "1.2.3.1", "OT"
    data.Rows, data.Columns = image.shape[:2]
    data.SamplesPerPixel = 3 if image.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if image.ndim == 3 else "MONOCHROME2"
    if image.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 if bits <= 8 else 16
    data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits - 1, 0
    pixels = image.astype("u1" if bits <= 8 else "<u2").tobytes()
    data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    data["PixelData"].VR = "OB" if bits <= 8 else "OW"
    return data


def frame(path):
    return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


with tempfile.TemporaryDirectory() as folder:
    native, coded = f"{folder}/native.dcm", f"{folder}/coded.dcm"
    for name, (image, bits, ways) in IMAGES.items():
        planes = image.transpose(2, 0, 1) if image.ndim == 3 else image
        (HERE / f"{name}.raw").write_bytes(planes.astype("<u2").tobytes())
        instance(image, bits).save_as(native, enforce_file_format=True)
        for encoder, command in ({f"dcmtk-{way}": DCMTK[f"dcmtk-{way}"] for way in ways} | GDCM).items():
            subprocess.run([*command, native, coded], check=True)
            (HERE / f"{name}.{encoder}").write_bytes(frame(coded))
        for plugin in PYDICOM:
            data = instance(image, bits)
            data.compress(RLELossless, encoding_plugin=plugin)
            data.save_as(coded, enforce_file_format=True)
            (HERE / f"{name}.{plugin}-rle").write_bytes(frame(coded))
