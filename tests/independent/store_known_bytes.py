"""Sends the data set of a DICOM file by C-STORE, byte for byte, with pynetdicom: a modality that is not ours.

usage: store_known_bytes.py HOST PORT CALLING_AE FILE
pynetdicom would encode a Dataset anew; here the bytes after the file meta (PS3.10 section 7.1) go out as they lie.
"""
import sys
from io import BytesIO
from pydicom import dcmread
from pydicom.filereader import read_partial
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

host, port, calling, path = sys.argv[1:]
with open(path, "rb") as file:
    meta = read_partial(file, stop_when=lambda tag, vr, length: True).file_meta
    file.seek(0)
    head = dcmread(file, stop_before_pixels=True)
    # 128 bytes preamble, DICM, the group length element (12 bytes) and what it counts.
    file.seek(144 + meta.FileMetaInformationGroupLength)
    data_set = file.read()

ae = AE(ae_title=calling)
ae.add_requested_context(head.SOPClassUID, meta.TransferSyntaxUID)
association = ae.associate(host, int(port), ae_title="RADMESH")
assert association.is_established, "no association"
request = C_STORE()
request.MessageID = 1
request.AffectedSOPClassUID = head.SOPClassUID
request.AffectedSOPInstanceUID = head.SOPInstanceUID
request.Priority = 2
request.DataSet = BytesIO(data_set)
context = association.accepted_contexts[0]
association._reactor_checkpoint.clear()
association.dimse.send_msg(request, context.context_id)
_, answer = association.dimse.get_msg(block=True)
association._reactor_checkpoint.set()
association.release()
assert answer is not None and answer.Status == 0x0000, answer
