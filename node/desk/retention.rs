//! What this node will free, case by case: a person must see it coming.

use super::{Desk, value};
use crate::cli::{CliError, FreedCase, Retention};
use radmesh_protocol::{
    id::CaseId,
    node::{
        Node,
        retention::{Aging, NOTICE_HOURS, Step},
    },
};
use serde_json::Value;
use std::collections::BTreeMap;

impl Desk {
    pub(super) fn retention(&self) -> Result<Value, CliError> {
        value(&self.read(retention))
    }
}

fn retention(node: &Node) -> Retention {
    let mut cases: BTreeMap<(Step, u32, CaseId), FreedCase> = BTreeMap::new();
    for Aging { case, bytes, hours, step, .. } in node.aging() {
        let row = cases.entry((step, hours, case)).or_insert_with(|| FreedCase {
            case: case.to_string(),
            announced: step == Step::Announced,
            hours_left: hours,
            parcels: 0,
            bytes: 0,
        });
        row.parcels += 1;
        row.bytes += bytes;
    }
    let counters = node.counters();
    Retention {
        keep_hours: node.keep_hours(),
        notice_hours: NOTICE_HOURS,
        freed_parcels: counters.freed_parcels,
        freed_bytes: counters.freed_bytes,
        cases: cases.into_values().collect(),
    }
}
