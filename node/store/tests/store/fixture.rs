//! What the store's tests share: a small workload with all that a node does to its disk, and what it was told.

use radmesh_protocol::{
    class::Class,
    envelope::{at_rest::AtRestKey, reading::ReadingKey, sign::SigningKey},
    id::{CaseId, FederationId, Hash, ManifestId, NodeId},
    limits::CHUNK_BYTES,
    parcel::{
        PartKind,
        manifest::Manifest,
        seal::{SealFacts, seal},
    },
    ranges::Ranges,
    record::{Importance, Record, Seq, Stored, Work},
};
use radmesh_store::{Medium, OpenError, Settings, StagedId, Store, WriteError};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::{collections::BTreeMap, io::Read as _, ops::Range, sync::Arc};

/// Small segments, so that a small workload begins several.
pub(crate) const SETTINGS: Settings = Settings { segment_bytes: 8 * 1024, reserve_bytes: 64 * 1024 };

pub(crate) fn at_rest() -> AtRestKey {
    AtRestKey::from_bytes(&[9; 32])
}

pub(crate) fn open(medium: Arc<dyn Medium>) -> Result<(Store, Vec<Record>), OpenError> {
    let (store, replay) = Store::open_with(medium, &at_rest(), SETTINGS)?;
    Ok((store, replay.collect::<Result<_, _>>()?))
}

pub(crate) fn event(number: u32, bytes: usize) -> Record {
    Record::Event([&number.to_be_bytes()[..], &vec![0; bytes]].concat())
}

/// A parcel as a spoke seals it: its manifest as it travels, its id, its sealed bytes.
pub(crate) fn parcel(seed: u64, bytes: usize) -> (Vec<u8>, ManifestId, Vec<u8>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let facts = SealFacts {
        federation: FederationId([1; 32]),
        case: CaseId([2; 32]),
        kind: PartKind::Series,
        roster_version: Default::default(),
        jurisdiction: "MW".parse().unwrap(),
        pool: "north".parse().unwrap(),
        epoch: 0,
        class: Class::Routine,
        home_hub: NodeId([3; 32]),
        pool_key: ReadingKey::from_seed([4; 32]).public(),
        recovery: ReadingKey::from_seed([5; 32]).public(),
    };
    let mut sealed = Vec::new();
    let made = seal::<WriteError>(&vec![7; bytes], &facts, &SigningKey::from_seed([6; 32]), &mut rng, &mut |chunk| {
        sealed.extend_from_slice(chunk);
        Ok(())
    })
    .unwrap();
    (made.manifest.bytes().to_vec(), made.manifest.id(), sealed)
}

/// Something the store acknowledged, and what must hold from then on.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    /// All records up to this many are in the journal.
    Records(usize),
    /// These bytes of a parcel are on disk.
    Parcel(ManifestId, Vec<u8>),
    /// This staged file is.
    Staged(StagedId, Vec<u8>),
}

/// A node at work: what it appended in order, and what it was told after how many operations of the disk.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) appended: Vec<Record>,
    pub(crate) refused: Vec<Record>,
    pub(crate) claims: Vec<(usize, Claim)>,
    pub(crate) answers: Vec<Stored>,
    /// Sealed bytes of parcels that come over a link, and of those sealed here.
    pub(crate) received: BTreeMap<ManifestId, Vec<u8>>,
    pub(crate) adopted: BTreeMap<ManifestId, Vec<u8>>,
    /// Operations of the disk so far, if it counts.
    pub(crate) clock: Option<Arc<radmesh_store::Faulty>>,
}

impl Ledger {
    fn claim(&mut self, claim: Claim) {
        let at = self.clock.as_ref().map_or(0, |disk| disk.operations().len());
        self.claims.push((at, claim));
    }

    fn hear(&mut self, answers: impl IntoIterator<Item = Stored>) -> Vec<Stored> {
        let answers: Vec<Stored> = answers.into_iter().collect();
        for answer in &answers {
            if let Stored::Persisted(Seq(seq)) = answer {
                // Numbers here are places in the order of appends.
                self.claim(Claim::Records(*seq as usize));
            }
        }
        self.answers.extend(answers.iter().cloned());
        answers
    }

    pub(crate) fn persist(&mut self, store: &Store, record: Record) {
        let seq = self.appended.len() as u64 + 1;
        let answers = store.carry_out(Work::Persist(Seq(seq), record.clone()));
        // On a full disk it waits for space, and is not given again.
        if answers.is_empty() || answers == [Stored::Full] {
            self.appended.push(record);
        } else {
            self.refused.push(record);
        }
        self.hear(answers);
    }

    pub(crate) fn commit(&mut self, store: &Store) {
        self.hear(store.commit());
    }

    pub(crate) fn room(&mut self, store: &Store, key: u8, sealed: &[u8]) -> Result<(), WriteError> {
        let (key, sealed) = (Hash([key; 32]), sealed.to_vec());
        let kept = store.append_room(1, key, sealed.clone());
        let record = Record::Room { room: 1, key, sealed };
        match kept {
            Ok(()) => {
                self.appended.push(record);
                self.claim(Claim::Records(self.appended.len()));
            }
            Err(_) => self.refused.push(record),
        }
        kept
    }

    /// A parcel that comes over a link: manifest, file, two writes, each synced.
    pub(crate) fn receive(&mut self, store: &Store, seed: u64, bytes: usize) -> ManifestId {
        let (manifest, id, sealed) = parcel(seed, bytes);
        self.received.insert(id, sealed.clone());
        self.persist(store, Record::Manifest(manifest));
        self.commit(store);
        let made =
            store.carry_out(Work::Create { manifest: id, bytes: sealed.len() as u64, importance: Importance::Bulk });
        self.hear(made);
        let half = sealed.len() / 2 + 100;
        for (from, to) in [(0, half), (half, sealed.len())] {
            let write = Work::Write { manifest: id, offset: from as u64, bytes: sealed[from..to].to_vec() };
            if !self.hear(store.carry_out(write)).is_empty() {
                return id;
            }
            let ranges: Ranges = std::iter::once(from as u64..to as u64).collect();
            let answers = store.carry_out(Work::Sync { manifest: id, ranges: ranges.clone() });
            if answers.contains(&Stored::Durable { manifest: id, ranges: ranges.clone() }) {
                self.appended.push(Record::Have { manifest: id, ranges });
                self.claim(Claim::Records(self.appended.len()));
                self.claim(Claim::Parcel(id, sealed[..to].to_vec()));
            }
            if !self.hear(answers).iter().any(|answer| matches!(answer, Stored::Durable { .. })) {
                return id;
            }
        }
        id
    }

    pub(crate) fn free(&mut self, store: &Store, id: ManifestId) {
        let answers = store.carry_out(Work::Free { manifest: id });
        if !answers.iter().any(|answer| matches!(answer, Stored::Full | Stored::Faulted)) {
            self.appended.push(Record::Freed { manifest: id });
            self.claim(Claim::Records(self.appended.len()));
        }
        self.hear(answers);
    }

    pub(crate) fn stage(&mut self, store: &Store, id: u8, bytes: &[u8]) -> Result<(), WriteError> {
        let id = StagedId([id; 16]);
        let mut writer = store.stage(id, Importance::Bulk)?;
        for part in bytes.chunks(1000) {
            writer.append(part)?;
        }
        writer.finish()?;
        self.claim(Claim::Staged(id, bytes.to_vec()));
        Ok(())
    }

    /// A parcel sealed here: its file first, its manifest after.
    pub(crate) fn seal(&mut self, store: &Store, seed: u64, bytes: usize) -> Result<ManifestId, WriteError> {
        let (manifest, id, sealed) = parcel(seed, bytes);
        self.adopted.insert(id, sealed.clone());
        let mut draft = store.draft([seed as u8; 16])?;
        for chunk in sealed.chunks(CHUNK_BYTES as usize) {
            draft.append(chunk)?;
        }
        assert_eq!(draft.chunk(0).unwrap(), sealed[..sealed.len().min(CHUNK_BYTES as usize)]);
        draft.adopt(id)?;
        self.persist(store, Record::Manifest(manifest));
        let before = self.claims.len();
        self.commit(store);
        if self.claims.len() > before {
            self.claim(Claim::Parcel(id, sealed));
        }
        Ok(id)
    }

    /// Everything a node does to its disk. Stops nowhere: what is refused is left out.
    pub(crate) fn work(&mut self, store: &Store) {
        self.persist(store, event(1, 300));
        self.persist(store, event(2, 2000));
        self.commit(store);
        let _ = self.stage(store, 1, &[0x11; 3000]);
        let _ = self.room(store, 1, b"first");
        let gone = self.receive(store, 1, 3000);
        let _ = self.seal(store, 2, 5000);
        self.persist(store, event(3, 4000));
        let _ = self.room(store, 1, b"second");
        self.free(store, gone);
        for number in 4..12 {
            self.persist(store, event(number, 1500));
            self.commit(store);
        }
        let _ = self.stage(store, 2, &[0x22; 700]);
        self.receive(store, 3, 9000);
        let _ = self.room(store, 2, b"third");
    }

    /// What must be there if the power failed after `operations` of the disk.
    pub(crate) fn check(&self, operations: usize, store: &Store, records: &[Record]) -> Result<(), String> {
        if records.len() > self.appended.len() || *records != self.appended[..records.len()] {
            return Err("the records are not the first ones in the order of appends".into());
        }
        let acknowledged =
            self.claims.iter().filter(|(at, _)| *at <= operations).filter_map(|(_, claim)| match claim {
                Claim::Records(count) => Some(*count),
                _ => None,
            });
        match acknowledged.max() {
            Some(count) if records.len() < count => {
                Err(format!("{count} records were acknowledged, {} are there", records.len()))
            }
            _ => self.check_files(operations, store, records),
        }
    }

    /// What was acknowledged of files is there, and what the journal says of them is true: the next run builds on it.
    pub(crate) fn check_files(&self, operations: usize, store: &Store, records: &[Record]) -> Result<(), String> {
        let is_there = |id: ManifestId, whole: &[u8], range: Range<u64>| {
            let (offset, length) = (range.start, (range.end - range.start) as u32);
            let bytes = Some(whole[range.start as usize..range.end as usize].to_vec());
            records.contains(&Record::Freed { manifest: id })
                || store.carry_out(Work::Read { manifest: id, offset, length })
                    == [Stored::Read { manifest: id, offset, bytes }]
        };
        for (_, claim) in self.claims.iter().filter(|(at, _)| *at <= operations) {
            match claim {
                Claim::Records(_) => {}
                Claim::Parcel(id, bytes) => {
                    if !is_there(*id, bytes, 0..bytes.len() as u64) {
                        return Err(format!("{} acknowledged bytes of parcel {id} are not there", bytes.len()));
                    }
                }
                Claim::Staged(id, bytes) => {
                    let mut there = Vec::new();
                    let read = store.open_staged(*id).and_then(|mut file| file.read_to_end(&mut there));
                    if read.is_err() || there != *bytes {
                        return Err(format!("staged file {id:?} is not there whole"));
                    }
                }
            }
        }
        for record in records {
            let (id, whole, ranges) = match record {
                Record::Have { manifest, ranges } => (*manifest, &self.received[manifest], ranges.clone()),
                Record::Manifest(bytes) => {
                    let id = Manifest::parse(bytes).map_err(|error| error.to_string())?.id();
                    let Some(whole) = self.adopted.get(&id) else { continue };
                    (id, whole, Ranges::whole(whole.len() as u64))
                }
                _ => continue,
            };
            if let Some(range) = ranges.iter().find(|range| !is_there(id, whole, range.clone())) {
                return Err(format!("the journal says that {range:?} of parcel {id} is there, and it is not"));
            }
        }
        Ok(())
    }
}
