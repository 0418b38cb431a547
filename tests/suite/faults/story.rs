//! The seed of a run and what happened in it: kept in a file, and told when the
//! run fails, so that it can be run again with `HERALD_SEED`.

use events::Ids;
use std::{
    fs::{self, File},
    io::{Write, stderr},
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::time::Instant;

/// One run's chance and history. Clones share both.
#[derive(Clone)]
pub(super) struct Story(Arc<Inner>);

struct Inner {
    name: &'static str,
    chance: Mutex<u64>,
    began: Instant,
    told: Mutex<Vec<String>>,
    file: File,
}

impl Story {
    pub(super) fn new(name: &'static str) -> Self {
        let seed = given_seed().unwrap_or_else(|| Ids::random().next().as_u64_pair().1);
        let began = Instant::now();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
        fs::create_dir_all(&folder).unwrap();
        let file = File::create(folder.join(format!("{name}.log"))).unwrap();
        let story = Self(Arc::new(Inner { name, chance: Mutex::new(seed), began, told: Mutex::default(), file }));
        story.tell(format!("HERALD_SEED={seed}"));
        story
    }

    pub(super) fn tell(&self, what: impl Into<String>) {
        let line = format!("{:8.3} {}", self.0.began.elapsed().as_secs_f64(), what.into());
        writeln!(&self.0.file, "{line}").unwrap();
        self.0.told.lock().unwrap().push(line);
    }

    /// Tells at once as well: what a long run has measured.
    pub(super) fn announce(&self, what: impl Into<String>) {
        let what = what.into();
        writeln!(stderr(), "{}: {what}", self.0.name).ok();
        self.tell(what);
    }

    /// For whoever must find out why a run failed.
    pub(super) fn tell_all(&self) {
        let told = self.0.told.lock().unwrap().join("\n");
        writeln!(stderr(), "{} failed; what happened:\n{told}", self.0.name).ok();
    }

    /// A number below a bound, the same at every run with this seed and order of asking.
    pub(super) fn below(&self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// The same things in another order.
    pub(super) fn shuffled<T>(&self, mut things: Vec<T>) -> Vec<T> {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
        things
    }

    /// Splitmix64 (Steele, Lea, Flood 2014).
    fn next(&self) -> u64 {
        let mut state = self.0.chance.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[expect(clippy::disallowed_methods, reason = "a failed run is repeated with its seed")]
fn given_seed() -> Option<u64> {
    std::env::var("HERALD_SEED").ok()?.parse().ok()
}
