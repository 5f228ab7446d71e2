//! The golden vectors, made anew from fixed seeds: what `vectors/` must hold, to the byte.
//!
//! Every key is a seed repeated 32 times and every random byte is drawn from ChaCha20 seeded with a number, so that
//! a change of a single byte on the wire shows as a changed file in a review. The sealed bytes can't be made by
//! another implementation (it draws other randomness); it opens them instead: `tests/independent/`.

use radmesh_protocol::{
    claim::Token,
    class::Class,
    envelope::{body::SealedBody, reading::ReadingKey, sign::SigningKey},
    id::{CaseId, EventHash, Hash, Incarnation, hex},
    log::{
        Event, Scope,
        body::{Body, Order},
        event::{Header, NO_PREV},
    },
    parcel::{
        PartKind,
        contents::{CONTENTS_VERSION, Contents, Group, InstanceEntry, ReceivedForm, StudyInfo},
        seal::{SealFacts, seal},
    },
    person::{SignedAt, Statement as Signed},
    phi::Phi,
    report::{REPORT_TAG, Report, ReportText, Status},
    roster::{
        PersonRole, Role, Roster, Term,
        request::NodeRequest,
        statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Policy, Statement, StatementBody, Subject},
    },
    time::{Hlc, Millis, Wall},
    worklist::order::OrderDetails,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::{Value, json};

const WALL: Wall = Wall(1_700_000_000_000);

pub(crate) struct World {
    pub(crate) hub: SigningKey,
    pub(crate) spoke: SigningKey,
    pub(crate) reader: SigningKey,
    pub(crate) recovery: ReadingKey,
    pub(crate) pool: ReadingKey,
    pub(crate) spoke_reading: ReadingKey,
    pub(crate) case: CaseId,
    pub(crate) roster: Roster,
}

impl World {
    pub(crate) fn new() -> Self {
        let [root, ministry, hub, relay, spoke, reader, lost] =
            [10, 11, 12, 13, 14, 15, 16].map(|seed| SigningKey::from_seed([seed; 32]));
        let [recovery, pool, spoke_reading] = [20, 21, 34].map(|seed| ReadingKey::from_seed([seed; 32]));
        let genesis = Genesis {
            name: "Ministry of Health".into(),
            threshold: 1,
            roots: vec![root.chain_id()],
            recovery: recovery.public(),
            ministry: ministry.chain_id(),
        };
        let federation = genesis.federation();
        let first = Statement::sign(&root, &federation, 1, Hash([0; 32]), WALL, &StatementBody::Genesis(genesis));
        let mut roster = Roster::from_genesis(first.bytes()).unwrap();
        let hub_node = AdmitNode { key_maker: KeyMaker::Yes, ..node(&hub, 32, "Lilongwe", Role::Hub, Some(&pool)) };
        let spoke_node = AdmitNode {
            home: Some(hub.node_id()),
            term: Term(1),
            via: vec![relay.node_id()],
            ..node(&spoke, 34, "Kasungu", Role::Spoke, None)
        };
        let banda = AdmitPerson {
            person: reader.person_id(),
            reading: ReadingKey::from_seed([35; 32]).public(),
            name: "Dr Banda".into(),
            roles: vec![PersonRole::Radiologist],
            region: "north".parse().unwrap(),
        };
        let bodies = [
            StatementBody::Policy(Policy { claim_lease: Millis(3_600_000) }),
            StatementBody::AdmitNode(Box::new(hub_node)),
            StatementBody::AdmitNode(Box::new(node(&relay, 33, "Mast", Role::Relay, None))),
            StatementBody::AdmitNode(Box::new(spoke_node)),
            StatementBody::AdmitPerson(banda),
            StatementBody::AdmitNode(Box::new(node(&lost, 36, "Lost", Role::Relay, None))),
            StatementBody::Revoke(Subject::Node(lost.node_id())),
        ];
        for body in bodies {
            let (seq, prev) = roster.next();
            let statement = Statement::sign(&ministry, &federation, seq, prev, WALL, &body);
            roster.apply(statement.bytes()).unwrap();
        }
        Self { hub, spoke, reader, recovery, pool, spoke_reading, case: CaseId([4; 32]), roster }
    }

    /// Name of a file in `vectors/`, and what it must hold.
    pub(crate) fn vectors(&self) -> [(&'static str, Value); 4] {
        [
            ("parcel.json", self.parcel()),
            ("event.json", self.event()),
            ("roster.json", self.roster()),
            ("report.json", self.report()),
        ]
    }

    fn parcel(&self) -> Value {
        // Two chunks, so that counter and last flag of STREAM are both seen.
        let coded: Vec<u8> = (0..66_000_u32).map(|at| (at * 31 % 253) as u8).collect();
        let entry = InstanceEntry {
            sop_instance_uid: Phi::new("2.25.11".into()),
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
            received: ReceivedForm::DataSet { calling_ae: "CT1".into(), called_ae: "RADMESH".into() },
            bytes: 66_000,
            content: Hash::of(&coded),
            flags: vec![],
        };
        let group = Group { series: Phi::new("2.25.10".into()), instances: vec![entry], part: 0, parts: 1, coded };
        let study = StudyInfo { study_instance_uid: Phi::new("2.25.9".into()), ..StudyInfo::default() };
        let contents = Contents { version: CONTENTS_VERSION, study, groups: vec![group] };
        let facts = SealFacts {
            federation: self.roster.federation(),
            case: self.case,
            kind: PartKind::Series,
            roster_version: self.roster.version(),
            jurisdiction: "MW".parse().unwrap(),
            pool: "north".parse().unwrap(),
            epoch: 0,
            class: Class::Urgent,
            home_hub: self.hub.node_id(),
            pool_key: self.pool.public(),
            recovery: self.recovery.public(),
        };
        let (mut file, packed) = (Vec::new(), contents.bytes());
        let sealed = seal(&packed, &facts, &self.spoke, &mut ChaCha20Rng::seed_from_u64(1), &mut |chunk| {
            file.extend_from_slice(chunk);
            Ok::<(), std::convert::Infallible>(())
        });
        let manifest = sealed.unwrap().manifest;
        let core = manifest.core();
        json!({
            "federation": facts.federation.to_string(),
            "keys": { "pool": hex(&[21; 32]), "recovery": hex(&[20; 32]) },
            "manifest": hex(manifest.bytes()),
            "manifest_id": manifest.id().to_string(),
            "core_hash": manifest.core_hash().to_string(),
            "parcel": core.parcel.to_string(),
            "case": core.case.to_string(),
            "signer": core.signer.to_string(),
            "home_hub": core.home_hub.to_string(),
            "roster_version": core.roster_version.0,
            "sealed_bytes": core.sealed_bytes,
            "root": core.root.to_string(),
            "packed_bytes": packed.len(),
            "packed_hash": Hash::of(&packed).to_string(),
            "file": hex(&file),
        })
    }

    fn event(&self) -> Value {
        let details = OrderDetails {
            indication: Phi::new("Fell from a tree; left wrist".into()),
            patient_name: Phi::new("BANDA^GRACE".into()),
            sex: Phi::new("F".into()),
            modalities: vec!["CR".into()],
            ..OrderDetails::default()
        };
        let (plain, federation) = (details.encode(), self.roster.federation());
        let to = [self.pool.public(), self.recovery.public()];
        let sealed = SealedBody::seal(&plain, &to, &federation, &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
        let body = Body::Order(Order { case: self.case, class: Class::Stat, sealed });
        let header = self.header(&self.spoke, 6, 1, NO_PREV);
        let event = Event::sign(&self.spoke, &federation, &header, &body);
        json!({
            "federation": federation.to_string(),
            "keys": { "pool": hex(&[21; 32]), "recovery": hex(&[20; 32]) },
            "event": hex(event.bytes()),
            "hash": event.hash().to_string(),
            "author": event.author().to_string(),
            "kind": event.kind().0,
            "case": self.case.to_string(),
            "class": 1,
            "indication": "Fell from a tree; left wrist",
            "patient_name": "BANDA^GRACE",
            "plaintext": hex(&plain),
        })
    }

    fn roster(&self) -> Value {
        let members = self.roster.members().map(|member| {
            let home = member.home.map(|home| home.to_string());
            json!({
                "node": member.node.to_string(), "name": member.name, "role": member.role.to_string(), "home": home,
                "term": member.term.0, "member": member.standing.holds(),
            })
        });
        json!({
            "file": hex(&self.roster.to_file()),
            "federation": self.roster.federation().to_string(),
            "version": self.roster.version().0,
            "digest": self.roster.digest().to_string(),
            "claim_lease_ms": self.roster.claim_lease().0,
            "nodes": members.collect::<Vec<_>>(),
            "persons": [{ "person": self.reader.person_id().to_string(), "name": "Dr Banda", "member": true }],
        })
    }

    fn report(&self) -> Value {
        let federation = self.roster.federation();
        let text = ReportText::new("No fracture of the left wrist.", "Dr Banda").unwrap();
        let to = [self.pool.public(), self.recovery.public(), self.spoke_reading.public()];
        let sealed = SealedBody::seal(&text.encode(), &to, &federation, &mut ChaCha20Rng::seed_from_u64(3)).unwrap();
        let claim = Some(Token { term: Term(1), counter: 7 });
        let report = Report { case: self.case, status: Status::Final, replaces: None, claim, sealed };
        let at = SignedAt {
            key: &self.reader,
            node: self.hub.node_id(),
            federation: &federation,
            roster_version: self.roster.version(),
        };
        let refs = [EventHash([8; 32])];
        let body = radmesh_protocol::wire::encode(&report);
        let statement = Signed::sign(at, REPORT_TAG, self.case, &refs, &body);
        let header = self.header(&self.hub, 7, 2, EventHash([9; 32]));
        let event = Event::sign(&self.hub, &federation, &header, &Body::Report(statement));
        json!({
            "federation": federation.to_string(),
            "keys": { "pool": hex(&[21; 32]), "recovery": hex(&[20; 32]), "spoke": hex(&[34; 32]) },
            "event": hex(event.bytes()),
            "hash": event.hash().to_string(),
            "author": event.author().to_string(),
            "kind": event.kind().0,
            "person": self.reader.person_id().to_string(),
            "node": self.hub.node_id().to_string(),
            "case": self.case.to_string(),
            "ref": refs[0].to_string(),
            "roster_version": self.roster.version().0,
            "status": 1,
            "term": 1,
            "counter": 7,
            "text": "No fracture of the left wrist.",
            "reader_name": "Dr Banda",
        })
    }

    fn header(&self, author: &SigningKey, incarnation: u8, seq: u64, prev: EventHash) -> Header {
        Header {
            author: author.node_id(),
            incarnation: Incarnation([incarnation; 8]),
            scope: Scope::Site(self.spoke.node_id()),
            seq,
            prev,
            hlc: Hlc(WALL.0 << 16),
        }
    }
}

fn node(key: &SigningKey, reading: u8, name: &str, role: Role, pool: Option<&ReadingKey>) -> AdmitNode {
    let request = NodeRequest {
        node: key.node_id(),
        reading: ReadingKey::from_seed([reading; 32]).public(),
        name: name.into(),
        role,
        addresses: vec!["/ip4/192.0.2.1/tcp/4001".into()],
        incarnation: Incarnation([reading; 8]),
        epoch0: pool.map(ReadingKey::public),
    };
    AdmitNode {
        request,
        region: "north".parse().unwrap(),
        jurisdiction: "MW".parse().unwrap(),
        home: None,
        standby: None,
        term: Term(0),
        via: vec![],
        key_maker: KeyMaker::No,
    }
}
