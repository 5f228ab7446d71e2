//! The rules for what leaves a machine: each message, and at rest what lies on each disk.
//!
//! Numbers are those of RELIABILITY: I6 no plaintext, I8 no membership forgotten, I9 bounds, I10 refusals counted; and of I7
//! that nobody speaks to a member that it knows to be revoked.

use crate::{
    checks::{Rule, Violation},
    machine::Running,
    world::World,
};
use memchr::memmem;
use radmesh_protocol::{
    id::ManifestId,
    limits::{BULK_MESSAGE_BYTES_MAX, CTL_MESSAGE_BYTES_MAX},
    node::{Lane, LinkId},
    transfer::message::{Message, Parsed},
};
use radmesh_store::medium::Name;

/// What is inside of every parcel and report, and nowhere in the open.
pub(crate) const PATIENTS_WORDS: &str = "what nobody but a reader sees. ";

/// Plaintext of a parcel.
pub(crate) fn plaintext(bytes: usize, from: u8) -> Vec<u8> {
    PATIENTS_WORDS.bytes().cycle().skip(usize::from(from)).take(bytes).collect()
}

impl World<'_> {
    /// A node sends a message.
    pub(crate) fn check_message(&mut self, at: usize, link: LinkId, lane: Lane, bytes: &[u8]) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let most = match lane {
            Lane::Ctl => CTL_MESSAGE_BYTES_MAX,
            Lane::Bulk => BULK_MESSAGE_BYTES_MAX,
        };
        if bytes.len() > most {
            let what = format!("a message of {} B on {lane:?}, of {most} at most", bytes.len());
            return Err(Rule::Bounds.broken(&machine.name, what));
        }
        if has_plaintext(bytes) {
            return Err(Rule::Sealed.broken(&machine.name, format!("plaintext in {} B on {lane:?}", bytes.len())));
        }
        if let Some(peer) = self.network.peer_on(at, link)
            && self.knows_revoked(at, peer)
        {
            let what = format!("speaks to {}, which it knows to be revoked", self.machines[peer].name);
            return Err(Rule::Revoked.broken(&machine.name, what));
        }
        // HELLO: parsed because every word of it is one that the node may have to stand by.
        if let (Lane::Ctl, Some(1)) = (lane, bytes.first())
            && let Ok(Parsed::Known(Message::Hello(hello))) = Message::parse(bytes)
        {
            let version = self.promises.rosters.entry(at).or_default();
            *version = hello.roster.max(*version);
        }
        Ok(())
    }

    /// After a start: of the membership that it has told others it has forgotten nothing.
    pub(crate) fn check_roster(&self, at: usize) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let told = self.promises.rosters.get(&at).copied().unwrap_or_default();
        let has = machine.running.as_ref().map_or(told, |running| running.node.roster().version());
        if has < told {
            return Err(Rule::Roster.broken(&machine.name, format!("it told of version {told:?} and has {has:?}")));
        }
        Ok(())
    }

    /// A node has ended a link: it has counted why.
    pub(crate) fn check_reset(&mut self, at: usize, reason: &str) -> Result<(), Violation> {
        let Some(running) = &mut self.machines[at].running else { return Ok(()) };
        running.resets += 1;
        if running.resets > counted(running) || reason.is_empty() {
            let what = format!("{} links ended, {} counted, last: {reason}", running.resets, counted(running));
            return Err(Rule::Counted.broken(&self.machines[at].name, what));
        }
        Ok(())
    }

    /// At rest: no disk holds plaintext, or a parcel's file that its node knows nothing of.
    pub(crate) fn check_disk(&self, at: usize) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let Some(running) = &machine.running else { return Ok(()) };
        let is_known = |manifest: &ManifestId| running.node.parcel(manifest).is_some();
        for (name, bytes) in machine.medium.files() {
            if has_plaintext(&bytes) {
                return Err(Rule::Sealed.broken(&machine.name, format!("plaintext in {name:?}")));
            }
            if matches!(&name, Name::Parcel(manifest) if !is_known(manifest)) {
                return Err(Rule::Bounds.broken(&machine.name, format!("{name:?} is nobody's")));
            }
        }
        Ok(())
    }
}

fn has_plaintext(bytes: &[u8]) -> bool {
    memmem::find(bytes, PATIENTS_WORDS.as_bytes()).is_some()
}

/// Links that a node says it has ended.
const fn counted(running: &Running) -> u64 {
    let counters = running.node.counters();
    counters.stalls + counters.superseded + counters.malformed_messages + counters.refused_links
}
