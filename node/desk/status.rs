//! How the running node does: whom it reaches, what it holds, what has gone wrong since it started.
//!
//! The driver waits while the core is read, and with it every link; so what is asked often is only gathered there,
//! and worked out after. Keys are stable (`docs/operating/lists.md`).

use super::{Desk, value};
use crate::cli::CliError;
use radmesh_protocol::{
    id::Hash,
    log::Way,
    node::{
        Node,
        retention::{Aging, Step},
    },
    wire::cursor::Put,
    worklist::item::{Delivered, Reading, WorklistItem},
};
use serde_json::{Map, Value, json};

impl Desk {
    pub(super) fn status(&self) -> Result<Value, CliError> {
        let (mut status, facts) = self.read(|node| {
            let roster = node.roster();
            let links = node.links().map(|link| {
                let peer = roster.node_name(&link.peer);
                json!({ "peer": peer, "state": link.state.to_string(), "rtt_ms": link.round_trip.map(|rtt| rtt.0) })
            });
            let status = json!({
                "name": self.name,
                "node": node.id().to_string(),
                "role": roster.node(&node.id()).map(|member| member.role.to_string()),
                "federation": roster.genesis().map(|genesis| genesis.name.clone()),
                "roster_version": roster.version().0,
                "links": links.collect::<Vec<_>>(),
                "cases": node.worklist().items().count(),
                "parcels": node.parcels().count(),
                "events": node.logs().len(),
                "forked_authors": node.logs().forked_authors().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "counters": node.counters(),
                "events_by_way": events_by_way(node),
                "retention": retention(node),
            });
            (status, facts(node))
        });
        status["worklist_digest"] = json!(Hash::of(&facts).to_string());
        if let Some(spoke) = &self.spoke {
            status["spoke"] = value(&spoke.status())?;
        }
        if let Some(hub) = &self.hub {
            let opened = hub.opened();
            status["hub"] = json!({
                "unlocked": hub.is_unlocked(),
                "opened": opened.to_string(),
                "opened_instances": opened.instances,
                "opened_bytes": opened.bytes,
                "opened_bytes_max": opened.bytes_max,
                "opened_waits": opened.waits,
            });
        }
        Ok(status)
    }
}

/// What the federation has been told that this node frees.
fn retention(node: &Node) -> Value {
    let announced: Vec<Aging> = node.aging().into_iter().filter(|aging| aging.step == Step::Announced).collect();
    json!({
        "announced_parcels": announced.len(),
        "announced_bytes": announced.iter().map(|aging| aging.bytes).sum::<u64>(),
        "next_in_hours": announced.first().map(|aging| aging.hours),
    })
}

fn events_by_way(node: &Node) -> Map<String, Value> {
    let counters = node.logs().counters();
    let of = |way| json!({ "new": counters.new_by(way), "known": counters.known_by(way) });
    Way::ALL.map(|way| (way_word(way).to_owned(), of(way))).into_iter().collect()
}

/// The way an event came.
const fn way_word(way: Way) -> &'static str {
    match way {
        Way::Own => "own",
        Way::Journal => "journal",
        Way::Pushed => "pushed",
        Way::Gossiped => "gossiped",
        Way::Synced => "synced",
    }
}

/// What a list says of every case, as bytes: equal on two nodes that list the same.
fn facts(node: &Node) -> Vec<u8> {
    let mut put = Put::default();
    for item in node.worklist().items() {
        facts_of(item, &mut put);
    }
    put.into_bytes()
}

fn facts_of(item: &WorklistItem, put: &mut Put) {
    put.bytes(item.case.as_bytes()).bytes(item.site.as_bytes());
    put.u8(item.class as u8).u8(item.state as u8).u8(item.custody as u8).u8(item.review as u8);
    put.u8(match item.reading {
        Reading::NotYet { .. } => 0,
        Reading::Ready { .. } => 1,
        Reading::Miscounted { .. } => 2,
    });
    put.bytes(item.claim.holder().map_or([0; 32], |person| *person.as_bytes()).as_slice());
    put.u64(item.token.map_or(0, |token| token.term.0)).u64(item.token.map_or(0, |token| token.counter));
    put.bytes(item.standing.map_or([0; 32], |report| *report.as_bytes()).as_slice());
    put.u64(item.requests.len() as u64).u64(item.released.len() as u64).u64(item.parcels.len() as u64);
    for (manifest, parcel) in &item.parcels {
        put.bytes(manifest.as_bytes()).bytes(parcel.core.as_bytes()).u64(parcel.receipts.len() as u64);
        parcel.receipts.keys().for_each(|node| {
            put.bytes(node.as_bytes());
        });
    }
    put.u64(item.closed.as_ref().map_or(0, |parcels| 1 + parcels.len() as u64)).u64(item.reports.len() as u64);
    for (event, report) in &item.reports {
        put.bytes(event.as_bytes()).short_text(&report.place.to_string());
        put.u8(u8::from(report.delivered == Delivered::Yes)).u8(report.review as u8);
    }
}
