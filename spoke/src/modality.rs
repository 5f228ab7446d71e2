//! Who may send: the allow-list of modalities, and what waits in quarantine.
//!
//! An AE title is a label that anyone in the clinic's network can write. So an unknown sender's Instances are stored,
//! because they may be a patient's only images, but go nowhere until a person here accepts that sender at that
//! address. What is in quarantine is not marked on disk: it is whatever its sender is not accepted for.

use crate::staging::{ReceivedInstance, Sender, StagingId};
use radmesh_dimse::{AeTitle, AeTitleError};
use radmesh_protocol::time::Wall;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A modality: the AE title it calls itself by, and where it connects from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(String, IpAddr)", into = "(String, IpAddr)")]
pub struct Modality {
    /// Calling AE title.
    pub ae_title: AeTitle,
    /// Its address in the clinic's network.
    pub address: IpAddr,
}

/// Bytes that unknown senders may fill at most, so that junk can't take the disk from the clinic's own modalities.
pub const QUARANTINE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// No unknown sender of that name and address has sent anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing from {ae_title:?} waits in quarantine")]
pub struct NotWaiting {
    /// What was asked for.
    pub ae_title: String,
}

/// How a modality stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Named in the configuration.
    Configured,
    /// Accepted by a person with `radmesh modality accept`.
    Accepted,
    /// Unknown: stored, and forwarded nowhere.
    Quarantined,
}

/// The allow-list and the quarantine.
#[derive(Debug, Default)]
pub struct Modalities {
    configured: BTreeSet<Modality>,
    accepted: BTreeSet<Modality>,
    waiting: BTreeMap<StagingId, ReceivedInstance>,
}

impl Modalities {
    /// With what the configuration names.
    pub fn new(configured: impl IntoIterator<Item = Modality>) -> Self {
        Self { configured: configured.into_iter().collect(), ..Self::default() }
    }

    /// How a sender stands; a person at this node is always known.
    #[must_use]
    pub fn standing(&self, sender: &Sender) -> Standing {
        let Some(modality) = Modality::of(sender) else { return Standing::Configured };
        match (self.configured.contains(&modality), self.accepted.contains(&modality)) {
            (true, _) => Standing::Configured,
            (false, true) => Standing::Accepted,
            (false, false) => Standing::Quarantined,
        }
    }

    /// Puts an Instance aside. It is on disk with its record.
    pub fn quarantine(&mut self, instance: ReceivedInstance) {
        self.waiting.insert(instance.file, instance);
    }

    /// Bytes in quarantine.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting.values().map(|instance| instance.bytes).sum()
    }

    /// Whether the same received bytes wait already.
    #[must_use]
    pub fn holds(&self, other: &ReceivedInstance) -> bool {
        let same = |held: &ReceivedInstance| held.received == other.received && held.form == other.form;
        self.waiting.values().any(|held| held.sender == other.sender && same(held))
    }

    /// Which modalities an `accept` means: those in quarantine under that title, at that address if one is given.
    ///
    /// # Errors
    /// [`NotWaiting`] if there is none.
    pub fn meant(&self, ae_title: &str, address: Option<IpAddr>) -> Result<Vec<Modality>, NotWaiting> {
        let waiting: BTreeSet<Modality> = self.waiting.values().filter_map(|held| Modality::of(&held.sender)).collect();
        let fits = |m: &Modality| m.ae_title.as_str() == ae_title && address.is_none_or(|address| address == m.address);
        let mut meant: Vec<Modality> = waiting.into_iter().filter(fits).collect();
        if let (true, Some(address), Ok(ae_title)) = (meant.is_empty(), address, AeTitle::parse(ae_title)) {
            meant.push(Modality { ae_title, address });
        }
        if meant.is_empty() { Err(NotWaiting { ae_title: ae_title.to_owned() }) } else { Ok(meant) }
    }

    /// Accepts a modality, once that is on disk; gives what it had sent, for staging.
    pub fn accept(&mut self, modality: Modality) -> Vec<ReceivedInstance> {
        let freed = self.waiting.extract_if(.., |_, held| Modality::of(&held.sender).as_ref() == Some(&modality));
        let freed = freed.map(|(_, instance)| instance).collect();
        self.accepted.insert(modality);
        freed
    }

    /// Every modality known or waiting, with what waits of it.
    #[must_use]
    pub fn listing(&self) -> Vec<ModalityLine> {
        let mut lines: BTreeMap<Modality, ModalityLine> = BTreeMap::new();
        let known = self.configured.iter().chain(&self.accepted).cloned();
        let waiting = self.waiting.values().filter_map(|held| Modality::of(&held.sender));
        for modality in known.chain(waiting) {
            let standing = self.standing(&modality.clone().into());
            let Modality { ae_title, address } = modality.clone();
            lines.entry(modality).or_insert(ModalityLine {
                ae_title: ae_title.as_str().to_owned(),
                address,
                standing,
                instances: 0,
                bytes: 0,
                last_at: None,
            });
        }
        for held in self.waiting.values() {
            let Some(line) = Modality::of(&held.sender).and_then(|modality| lines.get_mut(&modality)) else { continue };
            line.instances += 1;
            line.bytes += held.bytes;
            line.last_at = line.last_at.max(Some(held.at));
        }
        lines.into_values().collect()
    }
}

/// One line of `radmesh modality`; the keys are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModalityLine {
    /// Calling AE title.
    pub ae_title: String,
    /// Address it connects from.
    pub address: IpAddr,
    /// `configured`, `accepted` or `quarantined`.
    pub standing: Standing,
    /// Instances that wait in quarantine.
    pub instances: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them came: milliseconds since 1970 by this node's clock; null if none waits.
    pub last_at: Option<Wall>,
}

impl Modality {
    /// The modality behind a sender; none behind a person.
    #[must_use]
    pub fn of(sender: &Sender) -> Option<Self> {
        match sender {
            Sender::Modality(modality) => Some(modality.clone()),
            Sender::Hand => None,
        }
    }
}

impl From<Modality> for Sender {
    fn from(modality: Modality) -> Self {
        Self::Modality(modality)
    }
}

impl From<Modality> for (String, IpAddr) {
    fn from(modality: Modality) -> Self {
        (modality.ae_title.as_str().to_owned(), modality.address)
    }
}

impl TryFrom<(String, IpAddr)> for Modality {
    type Error = AeTitleError;

    fn try_from((ae_title, address): (String, IpAddr)) -> Result<Self, AeTitleError> {
        Ok(Self { ae_title: AeTitle::parse(&ae_title)?, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::tests::received_from;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 6));

    fn modality(ae_title: &str, address: IpAddr) -> Modality {
        Modality { ae_title: AeTitle::parse(ae_title).unwrap(), address }
    }

    #[test]
    fn a_known_title_from_another_address_is_unknown() {
        let list = Modalities::new([modality("CT1", HERE)]);
        assert_eq!(list.standing(&modality("CT1", HERE).into()), Standing::Configured);
        assert_eq!(list.standing(&modality("CT1", ELSEWHERE).into()), Standing::Quarantined);
        assert_eq!(list.standing(&Sender::Hand), Standing::Configured);
    }

    #[test]
    fn accepting_a_sender_frees_what_it_sent_and_nothing_else() {
        let mut list = Modalities::new([]);
        let (ours, theirs) = (modality("US1", HERE), modality("XX", HERE));
        list.quarantine(received_from("1.1", 1, ours.clone().into()));
        list.quarantine(received_from("1.2", 2, theirs.into()));
        assert_eq!(list.meant("US1", None), Ok(vec![ours.clone()]));
        let freed = list.accept(ours.clone());
        assert_eq!(freed.iter().map(|i| i.sop_instance.reveal().as_str()).collect::<Vec<_>>(), ["1.1"]);
        assert_eq!(list.standing(&ours.into()), Standing::Accepted);
        assert_eq!(
            list.listing().iter().map(|line| (line.standing, line.instances)).collect::<Vec<_>>(),
            [(Standing::Accepted, 0), (Standing::Quarantined, 1)]
        );
    }

    #[test]
    fn accepting_who_never_sent_needs_an_address() {
        let list = Modalities::new([]);
        assert_eq!(list.meant("CT9", None), Err(NotWaiting { ae_title: "CT9".into() }));
        assert_eq!(list.meant("CT9", Some(HERE)), Ok(vec![modality("CT9", HERE)]));
    }
}
