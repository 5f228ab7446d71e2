//! The world of a run: machines, links, and one queue of what happens next, in virtual milliseconds.
//!
//! Everything that happens is one [`Event`] with its moment; those of one moment happen in the order in which they
//! were foreseen. After each, the rules are checked.

use crate::{
    chance::Chance,
    checks::{Rule, Seen, Violation},
    faults::{Kind, mains::Cuts},
    federation::Federation,
    happened::Happened,
    machine::Machine,
    network::Network,
    profile::DAY_MS,
    promises::Promises,
    reading::Room,
    scenario::Scenario,
    studies::Clinic,
    trace::{Show, Trace},
};
use radmesh_protocol::{
    id::NodeId,
    log,
    node::{Answer, Command, CommandId, Input, Lane, LinkId, Notice, Output},
    record::{Record, Stored, Work},
};
use std::collections::BTreeMap;

/// Milliseconds since 1970 at which a run begins: for display only, as everywhere.
pub(crate) const FLOOR: u64 = 1_790_000_000_000;
/// Events of a run at most, and more for each machine and day: beyond it a node never rests.
const EVENTS_MAX: u64 = 3_000_000;
const EVENTS_A_DAY_MAX: u64 = 100_000;
/// Wakes of one node in one millisecond at most: more is a node that spins.
const WAKES_MAX: u32 = 200;

/// What happens next.
#[derive(Debug)]
pub(crate) enum Event {
    Message { to: usize, link: LinkId, lane: Lane, bytes: Vec<u8> },
    LinkEnded { to: usize, link: LinkId },
    Dial { edge: usize },
    Heal { edge: usize },
    Strike(Kind),
    DiskIsWell { at: usize },
    Repents { at: usize },
    NameStandby { lost: usize },
    DiskTurn { at: usize, life: u64 },
    DiskCommit { at: usize, life: u64 },
    DiskTriesAgain { at: usize, life: u64 },
    DiskAnswers { at: usize, life: u64, answers: Vec<Stored> },
    Wake { at: usize, life: u64, number: u64 },
    Blow { at: usize, life: u64 },
    Restart { at: usize },
    LineBreaks { edge: usize, number: usize },
    MainsFail { at: usize, cuts: Cuts },
    BatteryEmpty { at: usize, down_ms: u64 },
    Clinic { clinic: usize },
    Room { room: usize },
}

/// See the module's page.
pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    foreseen: u64,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) happened: Happened,
    pub(crate) federation: Federation,
    pub(crate) machines: Vec<Machine>,
    numbers: BTreeMap<NodeId, usize>,
    pub(crate) network: Network,
    pub(crate) clinics: Vec<Clinic>,
    pub(crate) rooms: Vec<Room>,
    pub(crate) promises: Promises,
    pub(crate) seen: Seen,
    /// Until when the network is in two parts.
    pub(crate) parted_until: u64,
    commands: u64,
    wakes: (u64, usize, u32),
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario, seed: u64, show: Show) -> Result<Self, Violation> {
        let mut chance = Chance::new(seed);
        let federation = Federation::new(scenario, &mut chance);
        let places = federation.places;
        let machines: Vec<Machine> =
            federation.members.iter().map(|member| Machine::new(member, &mut chance)).collect();
        let mut world = Self {
            scenario,
            now: 0,
            queue: BTreeMap::new(),
            foreseen: 0,
            trace: Trace::new(show),
            happened: Happened::default(),
            numbers: machines.iter().enumerate().map(|(at, machine)| (machine.key.node_id(), at)).collect(),
            machines,
            network: Network::new(scenario, places, &mut chance),
            clinics: places.spokes().map(|at| Clinic::new(at, scenario, &mut chance)).collect(),
            rooms: places.hubs().map(Room::new).collect(),
            promises: Promises::default(),
            seen: Seen::default(),
            parted_until: 0,
            commands: 0,
            wakes: (0, 0, 0),
            federation,
            chance,
        };
        for at in 0..world.machines.len() {
            world.boot(at)?;
        }
        (0..world.network.edges.len()).for_each(|edge| world.dial_in(edge, 10));
        (0..world.clinics.len()).for_each(|clinic| world.rouse_clinic(clinic));
        world.first_faults();
        Ok(world)
    }

    /// Puts an event `after` milliseconds from now.
    pub(crate) fn foresee(&mut self, after: u64, event: Event) {
        self.foresee_at(self.now + after, event);
    }

    pub(crate) fn foresee_at(&mut self, at: u64, event: Event) {
        self.foreseen += 1;
        self.queue.insert((at.max(self.now), self.foreseen), event);
    }

    /// Runs until virtual time `until`.
    pub(crate) fn run_until(&mut self, until: u64) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) {
            self.now = entry.key().0;
            let event = entry.remove();
            self.happened.events += 1;
            if self.happened.events > self.events_max() {
                let what = format!("{} events and still not at rest", self.happened.events);
                return Err(Rule::Rests.broken("world", what));
            }
            self.happen(event)?;
        }
        self.now = until;
        Ok(())
    }

    fn events_max(&self) -> u64 {
        EVENTS_MAX + EVENTS_A_DAY_MAX * self.machines.len() as u64 * (1 + self.now / DAY_MS)
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Message { to, link, lane, bytes } => self.arrive(to, link, lane, bytes),
            Event::LinkEnded { to, link } => self.link_ended(to, link),
            Event::Dial { edge } => self.dial(edge),
            Event::Heal { edge } => self.heal(edge),
            Event::Strike(kind) => self.strike(kind),
            Event::DiskIsWell { at } => {
                self.disk_is_well(at);
                Ok(())
            }
            Event::Repents { at } => {
                self.repent(at);
                Ok(())
            }
            Event::NameStandby { lost } => self.name_standby(lost),
            Event::DiskTurn { at, life } if self.lives(at, life) => self.disk_turn(at),
            Event::DiskCommit { at, life } if self.lives(at, life) => self.disk_commit(at),
            Event::DiskTriesAgain { at, life } if self.lives(at, life) => self.disk_tries_again(at),
            Event::DiskAnswers { at, life, answers } if self.lives(at, life) => {
                answers.into_iter().try_for_each(|stored| self.disk_answers(at, stored))
            }
            Event::Wake { at, life, number } if self.lives(at, life) => self.wake(at, number),
            Event::Blow { at, life } if self.lives(at, life) => self.blow(at),
            Event::Restart { at } => self.restart(at),
            Event::LineBreaks { edge, number } => {
                self.line_breaks(edge, number);
                Ok(())
            }
            Event::MainsFail { at, cuts } => {
                self.mains_fail(at, cuts);
                Ok(())
            }
            Event::BatteryEmpty { at, down_ms } => self.battery_empty(at, down_ms),
            Event::Clinic { clinic } => self.clinic_works(clinic),
            Event::Room { room } => self.room_works(room),
            // Of a life that is over.
            Event::DiskTurn { .. }
            | Event::DiskCommit { .. }
            | Event::DiskTriesAgain { .. }
            | Event::DiskAnswers { .. }
            | Event::Wake { .. }
            | Event::Blow { .. } => Ok(()),
        }
    }

    pub(crate) fn lives(&self, at: usize, life: u64) -> bool {
        self.machines[at].life == life && self.machines[at].running.is_some()
    }

    fn wake(&mut self, at: usize, number: u64) -> Result<(), Violation> {
        if self.machines[at].running.as_ref().is_none_or(|running| running.wake != number) {
            return Ok(());
        }
        let (now, last, count) = self.wakes;
        self.wakes = if (now, last) == (self.now, at) { (now, at, count + 1) } else { (self.now, at, 0) };
        if self.wakes.2 > WAKES_MAX {
            let what = format!("asked to be woken {WAKES_MAX} times in the millisecond {}", self.now);
            return Err(Rule::Rests.broken(&self.machines[at].name, what));
        }
        self.input(at, Input::Wake)
    }

    /// Gives a node an input, carries out what it wants, and checks the rules. Without power nothing happens.
    pub(crate) fn input(&mut self, at: usize, input: Input) -> Result<(), Violation> {
        let now = self.now;
        let Some(running) = &mut self.machines[at].running else { return Ok(()) };
        running.node.handle(input, running.clock(now));
        self.drain(at)
    }

    /// Carries out what a node wants, in order.
    pub(crate) fn drain(&mut self, at: usize) -> Result<(), Violation> {
        while let Some(output) = self.machines[at].running.as_mut().and_then(|running| running.node.poll_output()) {
            match output {
                Output::Disk(work) => {
                    if let (Work::Persist(_, Record::Event(bytes)), Some(running)) =
                        (&work, &mut self.machines[at].running)
                    {
                        running.fresh.push(log::Event::parse(bytes).expect("a node keeps events"));
                    }
                    if let Work::Free { manifest } = work {
                        self.check_freed(at, manifest)?;
                    }
                    self.queue_work(at, work);
                }
                Output::Send { link, lane, bytes } => {
                    self.check_message(at, link, lane, &bytes)?;
                    self.send(at, link, lane, bytes);
                }
                Output::Reset { link, reason } => {
                    self.check_reset(at, reason)?;
                    self.reset(at, link, reason);
                }
                Output::WakeAt(mono) => {
                    let life = self.machines[at].life;
                    let Some(running) = &mut self.machines[at].running else { continue };
                    running.wake += 1;
                    let (number, due) = (running.wake, running.world_ms(mono));
                    self.foresee_at(due, Event::Wake { at, life, number });
                }
                Output::Answer(id, answer) => {
                    self.trace.note(self.now, format_args!("{} answers {answer:?}", self.machines[at].name));
                    self.machines[at].running.iter_mut().for_each(|running| {
                        running.answers.insert(id, answer.clone());
                    });
                }
                Output::Notice(notice) => self.notice(at, &notice),
                // No gossip here.
                Output::Publish(_) | Output::GossipVerdict { .. } => {}
            }
        }
        self.check(at)
    }

    /// Gives a node a command.
    pub(crate) fn command(&mut self, at: usize, command: Command) -> Result<CommandId, Violation> {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.input(at, Input::Command(id, command))?;
        Ok(id)
    }

    /// The answer to a command, once.
    pub(crate) fn answer(&mut self, at: usize, id: CommandId) -> Option<Answer> {
        self.machines[at].running.as_mut().and_then(|running| running.answers.remove(&id))
    }

    /// The machine of this node.
    pub(crate) fn number_of(&self, node: &NodeId) -> usize {
        self.numbers[node]
    }

    /// What a node tells its rooms.
    fn notice(&mut self, at: usize, notice: &Notice) {
        match notice {
            Notice::Case(case) if self.federation.places.hubs().contains(&at) => {
                self.look_at(at - self.federation.places.hubs().start, [*case]);
            }
            Notice::Case(case) => self.clinic_hears(at, case),
            Notice::Faulted => self.disk_failed(at),
            Notice::Roster | Notice::ParcelComplete(_) | Notice::PoolKey => {}
        }
    }
}
