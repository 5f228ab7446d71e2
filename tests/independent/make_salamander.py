"""Makes protocol/tests/vectors/salamander.json: one ciphertext that two keys open to two texts (Dodis et al. 2018).

ChaCha20-Poly1305's tag is a polynomial over 2^130 - 5 in a value r that depends on the key. Two free blocks of the
ciphertext are two unknowns, the wanted tag under each key is one equation each: linear algebra, no guessing. It is
the attack that the commitment in a manifest stops; the Rust test opens the ciphertext under both keys, and shows
that a parcel with it is refused. Needs PyCA cryptography. Run: python make_salamander.py > .../salamander.json
"""
import json
import os
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

P = 2**130 - 5
FEDERATION, PARCEL = bytes([1]) * 32, bytes([3]) * 16
SECRETS = bytes([1]) * 32, bytes([2]) * 32
NONCE = bytes(7) + bytes(4) + b"\x01"  # STREAM: chunk 0, the last one
TEXT_BYTES = 4096 - 16
BLOCKS = TEXT_BYTES // 16


def body_key(secret):
    info = b"radmesh/1 parcel" + PARCEL
    return HKDF(hashes.SHA256(), 64, FEDERATION, info).derive(secret)[:32]


def r_and_s(key):
    block = Cipher(algorithms.ChaCha20(key, bytes(4) + NONCE), None).encryptor().update(bytes(32))
    r = int.from_bytes(block[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    return r, int.from_bytes(block[16:], "little")


def main():
    keys = [body_key(secret) for secret in SECRETS]
    halves = [r_and_s(key) for key in keys]
    lengths = int.from_bytes(bytes(8) + TEXT_BYTES.to_bytes(8, "little"), "little")
    one = 2**128
    while True:
        tag = int.from_bytes(os.urandom(16), "little")
        rows = []
        for r, s in halves:
            # The first two blocks are free, the others are zero; block i is multiplied by r^(BLOCKS + 1 - i).
            known = sum(one * pow(r, BLOCKS + 1 - i, P) for i in range(2, BLOCKS)) + (lengths + one) * r
            wanted = (tag - s) % one + one * (os.urandom(1)[0] % 4)
            rows.append((pow(r, BLOCKS + 1, P), pow(r, BLOCKS, P), (wanted - known) % P))
        (a, b, e), (c, d, f) = rows
        inverse = pow(a * d - b * c, -1, P)
        blocks = [(e * d - b * f) * inverse % P - one, (a * f - e * c) * inverse % P - one]
        if all(0 <= block < one for block in blocks):
            break
    sealed = b"".join(block.to_bytes(16, "little") for block in blocks) + bytes(TEXT_BYTES - 32) + tag.to_bytes(16, "little")
    texts = [ChaCha20Poly1305(key).decrypt(NONCE, sealed, None) for key in keys]
    assert texts[0] != texts[1]
    facts = {"federation": FEDERATION, "parcel": PARCEL, "secret_1": SECRETS[0], "secret_2": SECRETS[1], "chunk": sealed}
    print(json.dumps({name: value.hex() for name, value in facts.items()}, indent=1))


main()
