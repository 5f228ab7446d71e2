//! Links, power and work by profile, as `simulations/profiles/links.toml` gives them: measured, published or estimated.

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use std::collections::BTreeMap;

/// Milliseconds of a minute, an hour and a day.
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

const FILE: &str = include_str!("../profiles/links.toml");

/// A link, seen from the node that has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct LinkProfile {
    /// kbit/s.
    pub(crate) down: u64,
    /// kbit/s.
    pub(crate) up: u64,
    /// Milliseconds, there and back.
    pub(crate) rtt: u64,
    /// Milliseconds, one way, at most.
    pub(crate) jitter: u64,
    /// Segments lost of a million; per cent in the file.
    #[serde(deserialize_with = "per_cent")]
    pub(crate) loss: u64,
    /// Mean minutes connected.
    pub(crate) mean_up_min: u64,
    /// Mean minutes disconnected.
    pub(crate) mean_down_min: u64,
    /// Share of the rate that is left from 8 to 17 h, of a million.
    #[serde(default = "whole", deserialize_with = "share")]
    pub(crate) factor_08_17: u64,
    /// By which the round trip is longer then, of a million.
    #[serde(default = "whole", deserialize_with = "share")]
    pub(crate) rtt_factor_08_17: u64,
    /// Outages of days.
    #[serde(default)]
    pub(crate) long_outages_per_year: u64,
    #[serde(default)]
    pub(crate) long_outage_days: u64,
    /// Breaks of seconds in which nothing gets through.
    #[serde(default)]
    pub(crate) micro_break_s: u64,
    #[serde(default)]
    pub(crate) micro_break_every_min: u64,
    /// 10^9 bytes after which nothing is carried until the month ends.
    pub(crate) cap_gb_month: Option<u64>,
}

/// The mains, and what bridges them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct PowerProfile {
    /// Milliseconds from one cut to the next, mean; cuts a day in the file.
    #[serde(rename = "cuts_per_day", deserialize_with = "between")]
    pub(crate) cut_every_ms: u64,
    /// Mean minutes of a cut.
    pub(crate) mean_off_min: u64,
    /// Minutes that a battery bridges.
    pub(crate) ups_min: u64,
    /// Cuts of days.
    #[serde(default)]
    pub(crate) long_per_month: u64,
    /// Milliseconds of one of these; days in the file.
    #[serde(default, rename = "long_days", deserialize_with = "days")]
    pub(crate) long_ms: u64,
}

/// Studies of one modality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Examinations {
    /// Studies a day, mean.
    pub(crate) per_day: u64,
    /// 10^6 bytes of a Study as it is received.
    pub(crate) mb: u64,
}

#[derive(Deserialize)]
struct Profiles {
    link: BTreeMap<String, toml::Value>,
    power: BTreeMap<String, toml::Value>,
    workload: BTreeMap<String, toml::Value>,
}

/// The profile of a link.
///
/// # Errors
/// No such profile, or none that is a link's.
pub(crate) fn link(name: &str) -> Result<LinkProfile, toml::de::Error> {
    named(&profiles()?.link, name)
}

/// The profile of a site's power.
///
/// # Errors
/// No such profile.
pub(crate) fn power(name: &str) -> Result<PowerProfile, toml::de::Error> {
    named(&profiles()?.power, name)
}

/// What a site sends, by modality.
///
/// # Errors
/// No such profile, or none that is one site's.
pub(crate) fn workload(name: &str) -> Result<BTreeMap<String, Examinations>, toml::de::Error> {
    named(&profiles()?.workload, name)
}

fn profiles() -> Result<Profiles, toml::de::Error> {
    toml::from_str(FILE)
}

fn named<T: DeserializeOwned>(all: &BTreeMap<String, toml::Value>, name: &str) -> Result<T, toml::de::Error> {
    let known = || all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let found =
        all.get(name).ok_or_else(|| toml::de::Error::custom(format!("no profile {name}; there are {}", known())));
    found?.clone().try_into()
}

const MILLION: f64 = 1e6;

const fn whole() -> u64 {
    1_000_000
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Ok((f64::deserialize(from)? * MILLION) as u64)
}

fn per_cent<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Ok((f64::deserialize(from)? * MILLION / 100.0) as u64)
}

fn days<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Ok((f64::deserialize(from)? * DAY_MS as f64) as u64)
}

fn between<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let per_day = f64::deserialize(from)?;
    if per_day > 0.0 { Ok((DAY_MS as f64 / per_day) as u64) } else { Err(D::Error::custom("cuts_per_day is above 0")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_read_and_an_unknown_one_is_refused_by_name() {
        let profiles = profiles().unwrap();
        for name in profiles.link.keys().filter(|name| *name != "usb_courier") {
            assert!(link(name).unwrap().up > 0, "{name}");
        }
        assert!(profiles.power.keys().all(|name| power(name).unwrap().ups_min > 0));
        assert!(profiles.workload.keys().filter(|name| *name != "regional_hub").all(|name| workload(name).is_ok()));
        let edge = link("edge_2g").unwrap();
        assert_eq!((edge.loss, edge.factor_08_17, edge.rtt_factor_08_17), (30_000, 310_000, 1_000_000));
        assert_eq!(power("nkwanta").unwrap().cut_every_ms, 2 * HOUR_MS);
        assert!(link("edge").unwrap_err().to_string().contains("edge_2g, hspa_3g_rural"));
    }
}
