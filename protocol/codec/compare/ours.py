"""Our codec's side: runs `examples/measure.rs` over files, and writes the native form of what came compressed.

The rule: a file has come back only if the SHA-256 of what was decoded, which the codec's side prints, is the SHA-256
that is taken here of the file itself. Where pixels are compared with the other codecs' the files must hold the same
samples in native form (DICOM PS3.5 section 8.1), so a compressed or deflated one is written anew for that; as a whole
file it is always coded as it came.
"""
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from items import decoded, samples_digest, sha256

PROFILES = ("max", "fast")


@dataclass
class Coded:
    """What our codec made of some files, under one profile."""

    received_bytes: int
    coded_bytes: int
    header_bytes: int | None  # none where headers and pixels are one: a zstd frame, or stored
    pixel_bytes: int
    encode_seconds: float
    decode_seconds: float
    equal: bool


def measure(program, groups, repeat):
    """{name: {profile: Coded}} of {name: [path]}; each group is a Series, or one file."""
    lines = "".join("\t".join([name, *map(str, paths)]) + "\n" for name, paths in groups.items())
    result = subprocess.run([program, "--repeat", str(repeat)], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    coded = {name: {} for name in groups}
    for line in result.stdout.splitlines():
        facts = json.loads(line)
        hashes = [sha256(Path(path).read_bytes()) for path in groups[facts["name"]]]
        parts = facts["coded"]
        coded[facts["name"]][facts["profile"]] = Coded(
            received_bytes=facts["received_bytes"],
            coded_bytes=facts["coded_bytes"],
            header_bytes=None if parts["whole"] else parts["headers"],
            pixel_bytes=parts["pixels"] + parts["whole"],
            encode_seconds=facts["encode_seconds"],
            decode_seconds=facts["decode_seconds"],
            equal=facts["equal"] and facts["decoded_sha256"] == hashes,
        )
    missing = [name for name, profiles in coded.items() if set(profiles) != set(PROFILES)]
    if missing:
        raise ValueError(f"no figures for {missing}")
    return coded


def native_files(item, scratch):
    """Files with the item's samples in native form: its own where they already are, else new ones."""
    return [image.path if image.native else native_form(image, Path(scratch)) for image in item.images]


def native_form(image, scratch):
    path = scratch / f"{sha256(str(image.path).encode())[:16]}.dcm"
    if not path.exists():
        dataset = dcmread(image.path, force=True)
        samples = decoded(dataset)
        dataset.PixelData = samples.tobytes() + b"\0" * (samples.nbytes % 2)
        dataset["PixelData"].VR = "OB" if samples.itemsize == 1 else "OW"
        dataset["PixelData"].is_undefined_length = False
        if dataset.SamplesPerPixel > 1:
            dataset.PlanarConfiguration = 0
            if dataset.PhotometricInterpretation in ("YBR_RCT", "YBR_ICT"):  # what JPEG 2000 coded, not what it gives back
                dataset.PhotometricInterpretation = "RGB"
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
    if samples_digest(dcmread(path)) != image.digest:
        raise ValueError(f"the native form of {image.name} holds other samples")
    return path
