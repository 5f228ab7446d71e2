"""Opens the golden vectors from protocol/SPEC.md alone: a second reader, which imports nothing of radmesh.

If the hospital's software were lost, this page and the recovery key would still open every Study. It exits non-zero on
the first mismatch. Needs PyCA cryptography and blake3. Section numbers are those of protocol/SPEC.md.
"""
import json
import struct
import sys
from pathlib import Path
from blake3 import blake3
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

VECTORS = Path(__file__).parents[2] / "protocol" / "tests" / "vectors"


def h(data):
    return blake3(data).digest()


class Reader:
    """Fields from the front: by hand (big-endian) and postcard (section 2)."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert count <= len(self.data) - self.at, "cut short"
        self.at += count
        return self.data[self.at - count:self.at]

    def be(self, count):
        return int.from_bytes(self.take(count), "big")

    def rest(self):
        return self.take(len(self.data) - self.at)

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    def blob(self):
        return self.take(self.varint())

    def text(self):
        return self.blob().decode()

    def many(self, item):
        return [item() for _ in range(self.varint())]

    def option(self, item):
        return item() if self.varint() else None

    def id(self):
        return self.take(32)

    def done(self):
        assert self.at == len(self.data), "stray bytes"


def verify(public, tag, federation, signed, signature):  # section 4
    Ed25519PublicKey.from_public_bytes(public).verify(signature, tag + federation + signed)


def hpke_open(private, enc, sealed, info):  # RFC 9180, base mode: X25519, HKDF-SHA256, ChaCha20-Poly1305
    def extract(suite, salt, label, ikm):
        mac = hmac.HMAC(salt or bytes(32), hashes.SHA256())
        mac.update(b"HPKE-v1" + suite + label + ikm)
        return mac.finalize()

    def expand(suite, prk, label, context, length):
        labeled = struct.pack(">H", length) + b"HPKE-v1" + suite + label + context
        return HKDFExpand(hashes.SHA256(), length, labeled).derive(prk)

    kem, suite = b"KEM" + bytes([0, 0x20]), b"HPKE" + bytes([0, 0x20, 0, 1, 0, 3])
    key = X25519PrivateKey.from_private_bytes(private)
    shared = key.exchange(X25519PublicKey.from_public_bytes(enc))
    prk = extract(kem, b"", b"eae_prk", shared)
    secret = expand(kem, prk, b"shared_secret", enc + key.public_key().public_bytes_raw(), 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    prk = extract(suite, secret, b"secret", b"")
    nonce = expand(suite, prk, b"base_nonce", context, 12)
    return ChaCha20Poly1305(expand(suite, prk, b"key", context, 32)).decrypt(nonce, sealed, b"")


def unwrap(wraps, private, info):
    mine = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    [(enc, sealed)] = [(wrap[32:64], wrap[64:]) for wrap in wraps if wrap[:32] == mine]
    return hpke_open(private, enc, sealed, info)


def body_key(secret, federation, tag, ident, commitment):
    okm = HKDF(hashes.SHA256(), 64, federation, tag + ident).derive(secret)
    assert okm[32:] == commitment, "the key is not the one committed to"
    return okm[:32]


def unpad(plain):
    length = int.from_bytes(plain[:8], "big")
    assert length <= len(plain) - 8 and not any(plain[8 + length:]), "padding"
    return plain[8:8 + length]


def sealed_body(reader):  # section 4
    return reader.take(16), reader.take(32), reader.blob(), reader.many(lambda: reader.take(112))


def open_body(body, private, federation):
    ident, commitment, ciphertext, wraps = body
    info = b"radmesh/1 event wrap" + federation + ident + commitment + h(ciphertext)
    key = body_key(unwrap(wraps, private, info), federation, b"radmesh/1 event", ident, commitment)
    assert len(ciphertext) % 64 == 0
    return unpad(ChaCha20Poly1305(key).decrypt(bytes(12), ciphertext, b""))


def event(data, federation):  # section 6
    reader, fields = Reader(data), {}
    fields["author"], fields["incarnation"], fields["scope"] = reader.id(), reader.take(8), reader.take(33)
    fields["seq"], fields["prev"], fields["hlc"] = reader.be(8), reader.id(), reader.be(8)
    fields["kind"], fields["version"] = reader.be(2), reader.be(2)
    fields["body"] = reader.take(reader.be(4))
    verify(fields["author"], b"radmesh/1 event", federation, data[:reader.at], reader.take(64))
    reader.done()
    return fields


def check_parcel(v):  # section 8
    federation, reader = v["federation"], Reader(v["manifest"])
    core = reader.take(reader.be(2))
    wraps = reader.take(112 * reader.be(1))
    signature, pages = reader.take(64), reader.rest()
    c = Reader(core)
    assert c.be(2) == 1
    parcel, case, kind, signer, version = c.take(16), c.id(), c.be(1), c.id(), c.be(8)
    jurisdiction, pool, epoch, urgency, home = c.take(c.be(1)), c.take(c.be(1)), c.be(4), c.be(1), c.id()
    size, count, root, commitment = c.be(8), c.be(4), c.id(), c.id()
    c.done()
    assert (parcel, case, kind, signer, version) == (v["parcel"], v["case"], 2, v["signer"], v["roster_version"])
    assert (jurisdiction, pool, epoch, urgency, home) == (b"MW", b"north", 0, 2, v["home_hub"])
    assert (h(core), h(core)[:16], size, root) == (v["core_hash"], v["manifest_id"], v["sealed_bytes"], v["root"])
    verify(signer, b"radmesh/1 manifest", federation, h(core) + h(wraps), signature)
    chunks = [v["file"][at:at + 65536] for at in range(0, len(v["file"]), 65536)]
    names = [b"".join(map(h, chunks[at:at + 128])) for at in range(0, len(chunks), 128)]
    assert (len(v["file"]), len(chunks), size % 4096) == (size, count, 0)
    assert b"".join(map(h, names)) == pages and h(b"radmesh/1 root" + pages) == root
    info = b"radmesh/1 wrap" + federation + h(core)
    wraps = [wraps[at:at + 112] for at in range(0, len(wraps), 112)]
    for private in v["keys"].values():
        key = ChaCha20Poly1305(body_key(unwrap(wraps, private, info), federation, b"radmesh/1 parcel", parcel, commitment))
        nonce = [bytes(7) + struct.pack(">IB", at, at == count - 1) for at in range(count)]
        packed = unpad(b"".join(key.decrypt(n, chunk, b"") for n, chunk in zip(nonce, chunks)))
        assert (len(packed), h(packed)) == (v["packed_bytes"], v["packed_hash"])
    reader = Reader(packed)  # section 9
    assert reader.varint() == 1 and reader.text() == "2.25.9" and not any(reader.text() for _ in range(8))
    assert reader.varint() == 1 and reader.text() == "2.25.10" and reader.varint() == 1
    assert [reader.text() for _ in range(3)] == ["2.25.11", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"]
    assert (reader.varint(), reader.text(), reader.text()) == (1, "CT1", "RADMESH")
    size, content, flags, part, parts, coded = [reader.varint(), reader.id()] + [reader.varint() for _ in range(3)] + [reader.blob()]
    assert (size, content, flags, part, parts) == (len(coded), h(coded), 0, 0, 1)
    reader.done()


def check_event(v):
    e = event(v["event"], v["federation"])
    assert (h(v["event"]), e["author"], e["kind"]) == (v["hash"], v["author"], v["kind"])
    assert e["scope"] == b"\1" + v["author"] and (e["seq"], e["prev"]) == (1, bytes(32))
    reader = Reader(e["body"])
    assert (reader.id(), reader.varint()) == (v["case"], v["class"])
    body = sealed_body(reader)
    reader.done()
    for private in v["keys"].values():
        plain = open_body(body, private, v["federation"])
        details = Reader(plain)
        assert (plain, details.text(), details.text()) == (v["plaintext"], v["indication"], v["patient_name"])


def check_report(v):  # sections 7 and 11
    e = event(v["event"], v["federation"])
    assert (h(v["event"]), e["author"], e["kind"], e["author"]) == (v["hash"], v["author"], v["kind"], v["node"])
    reader = Reader(e["body"])
    signed, signature = reader.blob(), reader.take(64)
    reader.done()
    s = Reader(signed)
    tag, person, node, case, version = s.take(s.be(1)), s.id(), s.id(), s.id(), s.be(8)
    refs = [s.id() for _ in range(s.be(1))]
    verify(person, b"radmesh/1 person", v["federation"], signed, signature)
    assert (tag, person, node, case) == (b"radmesh/1 report", v["person"], v["node"], v["case"])
    assert (version, refs) == (v["roster_version"], [v["ref"]])
    assert (s.id(), s.varint(), s.option(s.id)) == (case, v["status"], None)
    assert s.option(lambda: (s.varint(), s.varint())) == (v["term"], v["counter"])
    body = sealed_body(s)
    s.done()
    for private in v["keys"].values():
        plain = Reader(open_body(body, private, v["federation"]))
        assert (plain.text(), plain.text()) == (v["text"], v["reader_name"])
        plain.done()


def check_roster(v):  # sections 5 and 16
    file, magic = Reader(v["file"]), b"radmesh roster 1\n"
    assert file.take(len(magic)) == magic
    nodes, persons, heads, lease = {}, {}, {}, 3_600_000
    while file.at < len(file.data):
        data = file.take(file.be(4))
        r = Reader(data)
        chain, seq, prev, _wall, kind, version = r.id(), r.be(8), r.id(), r.be(8), r.be(2), r.be(2)
        b = Reader(r.take(r.be(4)))
        if not heads:
            name, threshold, roots = b.text(), b.varint(), b.many(b.id)
            _recovery, ministry = b.id(), b.id()
            named = struct.pack(">BH", threshold, len(roots)) + b"".join(roots) + name.encode()
            federation = h(b"radmesh/1 federation" + named)
            assert (kind, roots, threshold, federation) == (1, [chain], 1, v["federation"])
            heads = {chain: (0, bytes(32)), ministry: (0, h(data))}
            root = chain
        assert (seq, prev, version) == (heads[chain][0] + 1, heads[chain][1], 1) and (kind == 1) == (chain == root)
        verify(chain, b"radmesh/1 roster", federation, data[:r.at], r.take(64))
        r.done()
        heads[chain] = (seq, h(data))
        if kind == 2:
            lease = b.varint()
        elif kind == 3:
            node, _reading, name, role = b.id(), b.id(), b.text(), ["spoke", "hub", "relay"][b.varint()]
            _addresses, _incarnation, _epoch0 = b.many(b.text), b.take(8), b.option(b.id)
            _region, _law, home, _standby, term = b.text(), b.text(), b.option(b.id), b.option(b.id), b.varint()
            _via, _maker = b.many(b.id), b.varint()
            nodes[node] = {"node": node, "name": name, "role": role, "home": home, "term": term, "member": True}
        elif kind == 4:
            person, _reading, name, _roles, _region = b.id(), b.id(), b.text(), b.many(b.varint), b.text()
            persons[person] = {"person": person, "name": name, "member": True}
        elif kind == 5:
            (persons if b.varint() else nodes)[b.id()]["member"] = False
        b.done()
    state = b"".join(key + struct.pack(">Q", heads[key][0]) + heads[key][1] for key in (root, ministry))
    assert (heads[ministry][0], lease) == (v["version"], v["claim_lease_ms"])
    assert h(b"radmesh/1 roster digest" + state) == v["digest"]
    assert [nodes[node] for node in sorted(nodes)] == v["nodes"] and list(persons.values()) == v["persons"]


def unhex(value):
    """Every hexadecimal string of a vector is bytes; words and numbers stay."""
    if isinstance(value, dict):
        return {key: unhex(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unhex(item) for item in value]
    hexadecimal = isinstance(value, str) and len(value) >= 32 and set(value) <= set("0123456789abcdef")
    return bytes.fromhex(value) if hexadecimal else value


def main():
    for name, check in {"parcel": check_parcel, "event": check_event, "roster": check_roster, "report": check_report}.items():
        try:
            check(unhex(json.loads((VECTORS / f"{name}.json").read_text())))
        except Exception as error:
            sys.exit(f"{name}.json does not read as protocol/SPEC.md says: {type(error).__name__} {error}")
        print(f"{name}.json reads as protocol/SPEC.md says")


main()
