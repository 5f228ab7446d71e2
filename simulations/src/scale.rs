//! What an event costs as a federation grows: the time of this thread alone, whatever else the machine does.
//!
//! It counts the days alone. Before them each node verifies the ministry's statement of every other, once in its life;
//! after them all power is cut, every node reads its journal, and the rules are checked of every pair: what is of the
//! square of the nodes there is of the set-up and the checks, and no event.

use crate::{
    run::{Moment, run_timed},
    scenario::{ScenarioError, scenarios},
    trace::Show,
};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::fmt::{self, Write};

/// A run of the fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Spokes.
    pub spokes: usize,
    /// Events of the world in the days.
    pub events: u64,
    /// Seconds of processor time of the days.
    pub seconds: f64,
}

impl Cost {
    /// Microseconds of an event.
    #[must_use]
    pub fn micros(&self) -> f64 {
        self.seconds * 1e6 / self.events as f64
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spokes, events, seconds } = self;
        write!(f, "{spokes} spokes: {events} events, {seconds:.1} s, {:.1} us an event", self.micros())
    }
}

/// Runs the fleet for so many days with each number of spokes, and gives each cost to `each` as it is known.
///
/// # Errors
/// A run in which a rule does not hold has no cost.
pub fn costs(spokes: &[usize], days: u64, mut each: impl FnMut(&Cost)) -> Result<Vec<Cost>, ScenarioError> {
    let fleet = scenarios("fleet")?.remove(0);
    let cost = |&spokes: &usize| {
        let mut fleet = fleet.clone();
        fleet.resize(Some(spokes), Some(days));
        let mut cost = Cost { spokes, events: 0, seconds: 0.0 };
        let outcome = run_timed(&fleet, 1, Show::Nothing, |moment| match moment {
            Moment::Begun => cost.seconds = seconds(),
            Moment::FaultsOver { events } => {
                (cost.events, cost.seconds) = (events, seconds() - cost.seconds);
            }
        });
        if let Some(violation) = outcome.violation {
            return Err(ScenarioError::Broken(Box::new(violation)));
        }
        each(&cost);
        Ok(cost)
    };
    spokes.iter().map(cost).collect()
}

fn seconds() -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    tv_sec as f64 + tv_nsec as f64 / 1e9
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 60.0;
const TOP: f64 = 40.0;

/// An SVG: spokes on a logarithmic axis, microseconds of an event from 0.
#[must_use]
pub fn picture(costs: &[Cost], days: u64) -> String {
    let (least, most) =
        costs.iter().fold((usize::MAX, 1), |(least, most), c| (least.min(c.spokes), most.max(c.spokes)));
    let highest = costs.iter().map(Cost::micros).fold(1.0, f64::max) * 1.2;
    let decades = (most as f64 / least as f64).log10().max(0.1);
    let x = |spokes: usize| LEFT + (spokes as f64 / least as f64).log10() / decades * (WIDTH - LEFT - 40.0);
    let y = |micros: f64| HEIGHT - BOTTOM - micros / highest * (HEIGHT - BOTTOM - TOP);
    let length = if days == 1 { "one simulated day".to_owned() } else { format!("{days} simulated days") };
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{LEFT}" y="22" font-size="15">Processor time of a simulated event, fleet, {length}</text>
<text x="{}" y="{}" text-anchor="middle">spokes</text>
<text x="16" y="{}" transform="rotate(-90 16 {})" text-anchor="middle">microseconds an event</text>
"##,
        WIDTH / 2.0,
        HEIGHT - 14.0,
        HEIGHT / 2.0,
        HEIGHT / 2.0
    );
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0].into_iter().find(|step| highest / step <= 6.0).unwrap_or(200.0);
    let mut line = 0.0;
    while line <= highest {
        let at = y(line);
        let _ = writeln!(out, r##"<path d="M{LEFT} {at:.1}H{:.1}" stroke="#ddd"/>"##, WIDTH - 40.0);
        let _ = writeln!(out, r##"<text x="{:.1}" y="{:.1}" text-anchor="end">{line}</text>"##, LEFT - 8.0, at + 4.0);
        line += step;
    }
    let points: Vec<String> = costs.iter().map(|c| format!("{:.1},{:.1}", x(c.spokes), y(c.micros()))).collect();
    let _ =
        writeln!(out, r##"<polyline points="{}" fill="none" stroke="#1f5fa8" stroke-width="2"/>"##, points.join(" "));
    for cost in costs {
        let (x, y) = (x(cost.spokes), y(cost.micros()));
        let _ = writeln!(out, r##"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="#1f5fa8"/>"##);
        let _ =
            writeln!(out, r##"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{:.1}</text>"##, y - 10.0, cost.micros());
        let below = HEIGHT - BOTTOM + 20.0;
        let _ = writeln!(out, r##"<text x="{x:.1}" y="{below:.1}" text-anchor="middle">{}</text>"##, cost.spokes);
    }
    out + "</svg>\n"
}
