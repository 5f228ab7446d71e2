//! Which class is next on a link: a STAT chest film overtakes a CT between two fragments.
//!
//! Control and STAT are strict: while one has something to send, nothing below it moves. Below them each class has
//! a share of the bytes, so that priors never stop altogether. Within a class the oldest goes first.
//! Source: `protocol/SPEC.md`, Classes.

use crate::class::Class;

/// Bytes each class may send for one byte of its share, scaled; only classes below STAT are shared out.
const SHARES: [(Class, u64); 3] = [(Class::Urgent, 60), (Class::Routine, 35), (Class::Prior, 5)];
/// Least common multiple of the shares: a class's clock moves by this over its share for each byte.
const SCALE: u64 = 420;

/// Share of what was sent, by class: the class whose clock is furthest behind is next.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    clocks: [u64; SHARES.len()],
    /// Clock of the class that sent last: one that was idle starts from here and saves nothing up.
    now: u64,
}

impl Schedule {
    /// The class to send from, of those that have something.
    pub fn next(&mut self, ready: impl Iterator<Item = Class>) -> Option<Class> {
        let mut best: Option<(u64, Class)> = None;
        for class in ready {
            let Some(at) = shared(class) else {
                // Strict: Control before STAT before any share.
                let strict = best.filter(|(_, other)| shared(*other).is_none() && *other <= class);
                best = strict.or(Some((0, class)));
                continue;
            };
            self.clocks[at] = self.clocks[at].max(self.now);
            let key = (self.clocks[at], class);
            if best.is_none_or(|other| shared(other.1).is_some() && key < other) {
                best = Some(key);
            }
        }
        best.map(|(_, class)| class)
    }

    /// `bytes` of `class` were sent.
    pub fn sent(&mut self, class: Class, bytes: u32) {
        if let Some(at) = shared(class) {
            self.now = self.clocks[at];
            self.clocks[at] += u64::from(bytes) * SCALE / SHARES[at].1;
        }
    }
}

fn shared(class: Class) -> Option<usize> {
    SHARES.iter().position(|(other, _)| *other == class)
}

const _: () = assert!(SCALE.is_multiple_of(60) && SCALE.is_multiple_of(35) && SCALE.is_multiple_of(5));

#[cfg(test)]
mod tests {
    use super::*;

    fn share(classes: &[Class], rounds: u32) -> Vec<u32> {
        let (mut schedule, mut sent) = (Schedule::default(), vec![0; classes.len()]);
        for _ in 0..rounds {
            let next = schedule.next(classes.iter().copied()).unwrap();
            schedule.sent(next, 4096);
            sent[classes.iter().position(|class| *class == next).unwrap()] += 1;
        }
        sent
    }

    #[test]
    fn nothing_moves_below_stat_while_stat_has_something() {
        assert_eq!(share(&[Class::Prior, Class::Stat, Class::Urgent], 100), [0, 100, 0]);
        assert_eq!(share(&[Class::Stat, Class::Control], 10), [0, 10]);
        assert_eq!(share(&[Class::Control, Class::Stat], 10), [10, 0]);
    }

    #[test]
    fn priors_never_fall_below_a_twentieth() {
        let sent = share(&[Class::Urgent, Class::Routine, Class::Prior], 1000);
        assert!(sent[2] >= 50 && sent[0] > sent[1] && sent[1] > sent[2], "{sent:?}");
        assert!(share(&[Class::Routine, Class::Prior], 1000)[1] >= 50);
    }

    #[test]
    fn a_class_that_was_idle_has_saved_nothing_up() {
        let mut schedule = Schedule::default();
        for _ in 0..1000 {
            let class = schedule.next([Class::Urgent].into_iter()).unwrap();
            schedule.sent(class, 65_536);
        }
        let mut priors = 0;
        for _ in 0..100 {
            let class = schedule.next([Class::Urgent, Class::Prior].into_iter()).unwrap();
            schedule.sent(class, 65_536);
            priors += u32::from(class == Class::Prior);
        }
        assert!(priors < 15, "{priors}");
    }
}
