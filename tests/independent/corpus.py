"""Every file of PyPI's pydicom and pydicom-data that could be DICOM, and what pydicom says of it, one a line.

A line is `both PATH` when the file has a Study and a SOP Instance UID, else `lacks PATH`. The second opinion on what a
spoke may refuse: it shares no code with radmesh.
"""
import sys
from pathlib import Path
import data_store
import pydicom
from pydicom import dcmread

folders = [Path(package.__file__).parent for package in (pydicom, data_store)]
folders[0] /= "data"
folders[1] /= "data"
for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
    if path.suffix in (".py", ".pyc", ".json"):
        continue
    try:
        head = dcmread(path, force=True, stop_before_pixels=True)
        both = all(head.get(uid) for uid in ("StudyInstanceUID", "SOPInstanceUID"))
    except Exception as error:  # what pydicom can't read at all has no UIDs to show
        print(f"{path}: {type(error).__name__}", file=sys.stderr)
        both = False
    print("both" if both else "lacks", path)
