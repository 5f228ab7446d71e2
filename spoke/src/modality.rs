//! Who may send: the allow-list of modalities.
//!
//! An AE title is a label that anyone in the clinic's network can write. So an unknown sender's Instances are stored,
//! because they may be a patient's only images, but go nowhere until a person here accepts that sender at that
//! address. What is in quarantine is not marked on disk: it is whatever its sender is not accepted for.

use crate::{quarantine::Quarantine, staging::Sender};
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

/// No unknown sender of that name and address has sent anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing from {ae_title} waits in quarantine")]
pub struct NotWaiting {
    /// What was asked for.
    pub ae_title: AeTitle,
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

/// The allow-list.
#[derive(Debug, Default)]
pub(crate) struct AllowList {
    configured: BTreeSet<Modality>,
    accepted: BTreeSet<Modality>,
}

impl AllowList {
    /// With what the configuration names.
    pub(crate) fn new(configured: impl IntoIterator<Item = Modality>) -> Self {
        Self { configured: configured.into_iter().collect(), ..Self::default() }
    }

    /// How a sender stands; a person at this node is always known.
    pub(crate) fn standing(&self, sender: &Sender) -> Standing {
        let Some(modality) = Modality::of(sender) else { return Standing::Configured };
        match (self.configured.contains(&modality), self.accepted.contains(&modality)) {
            (true, _) => Standing::Configured,
            (false, true) => Standing::Accepted,
            (false, false) => Standing::Quarantined,
        }
    }

    /// Accepts a modality, once that is on disk.
    pub(crate) fn accept(&mut self, modality: Modality) {
        self.accepted.insert(modality);
    }

    /// Every modality known or waiting, with what waits of it.
    pub(crate) fn listing(&self, quarantine: &Quarantine) -> Vec<ModalityLine> {
        let mut lines: BTreeMap<Modality, ModalityLine> = BTreeMap::new();
        let known = self.configured.iter().chain(&self.accepted).cloned();
        let waiting = quarantine.instances().filter_map(|held| Modality::of(&held.sender));
        for modality in known.chain(waiting) {
            let standing = self.standing(&modality.clone().into());
            let (ae_title, address) = modality.clone().into();
            lines.entry(modality).or_insert(ModalityLine {
                ae_title,
                address,
                standing,
                instances: 0,
                bytes: 0,
                last_at: None,
            });
        }
        for held in quarantine.instances() {
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
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 6));

    fn modality(ae_title: &str, address: IpAddr) -> Modality {
        Modality { ae_title: AeTitle::parse(ae_title).unwrap(), address }
    }

    #[test]
    fn a_known_title_from_another_address_is_unknown() {
        let list = AllowList::new([modality("CT1", HERE)]);
        assert_eq!(list.standing(&modality("CT1", HERE).into()), Standing::Configured);
        assert_eq!(list.standing(&modality("CT1", ELSEWHERE).into()), Standing::Quarantined);
        assert_eq!(list.standing(&Sender::Hand), Standing::Configured);
    }
}
