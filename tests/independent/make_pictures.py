"""What the fixtures look like to pydicom: an 8 x 8 thumbnail of a frame of each, after its own modality and VOI LUT.

Writes node/worker/tests/pictures.txt, which node/worker/tests/fixtures.rs holds the previews against. Run from the
root with pydicom 3.0.2, numpy, Pillow, pylibjpeg, pylibjpeg-openjpeg and pylibjpeg-libjpeg:

    python3 tests/independent/make_pictures.py
"""

import numpy
import pydicom
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

FRAMES = [
    ("pydicom-data/explicit_VR-UN.dcm", 0),
    ("pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm", 0),
    ("pydicom-data/RG1_J2KI.dcm", 0),
    ("pydicom-data/MR2_J2KR.dcm", 0),
    ("pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm", 0),
    ("pydicom-data/OBXXXX1A_rle_2frame.dcm", 1),
    ("pydicom-data/gdcm-US-ALOKA-16_big.dcm", 0),
    ("pydicom/examples_ybr_color.dcm", 0),
    ("pydicom/examples_ybr_color.dcm", 29),
    ("pydicom/CT_small.dcm", 0),
    ("pydicom/MR_small_implicit.dcm", 0),
    ("pydicom/MR_small_bigendian.dcm", 0),
    ("pydicom/image_dfl.dcm", 0),
    ("pydicom/SC_rgb_jpeg.dcm", 0),
    ("pydicom-data/emri_small_jpeg_ls_lossless.dcm", 0),
    ("pydicom-data/emri_small_jpeg_ls_lossless.dcm", 9),
]


def shown(data_set, frame):
    """A frame as 8-bit grey or RGB."""
    pixels = data_set.pixel_array
    if int(data_set.get("NumberOfFrames", 1) or 1) > 1:
        pixels = pixels[frame]
    if data_set.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(pixels, data_set)
        return colours / (257 if colours.dtype == numpy.uint16 else 1)
    if data_set.SamplesPerPixel == 3:
        return pixels
    values = apply_modality_lut(pixels, data_set).astype(float)
    if data_set.get("WindowCenter") not in (None, ""):
        # The range onto which pydicom windows: that of the stored bits after the Modality LUT.
        bits, signed = data_set.BitsStored, data_set.PixelRepresentation
        ends = numpy.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], float)
        slope, intercept = float(data_set.get("RescaleSlope", 1)), float(data_set.get("RescaleIntercept", 0))
        low, high = ends * slope + intercept
        values = apply_voi_lut(values, data_set)
    else:
        low, high = numpy.percentile(values, [0.5, 99.5])
    grey = numpy.clip((values - low) / (high - low), 0, 1) * 255
    return 255 - grey if data_set.PhotometricInterpretation == "MONOCHROME1" else grey


with open("node/worker/tests/pictures.txt", "w", encoding="ascii") as out:
    out.write("# By tests/independent/make_pictures.py: file, frame, channels, then 8 x 8 means row by row.\n")
    for path, frame in FRAMES:
        picture = numpy.asarray(shown(pydicom.dcmread(f"tests/data/{path}"), frame)).astype(numpy.uint8)
        small = numpy.asarray(Image.fromarray(picture).resize((8, 8), Image.BOX))
        channels = 1 if small.ndim == 2 else 3
        out.write(f"{path} {frame} {channels} {small.tobytes().hex()}\n")
