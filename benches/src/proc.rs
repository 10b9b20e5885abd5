//! What processes have used, from /proc: CPU seconds and memory.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    time::Instant,
};

use serde::{Deserialize, Serialize};

use crate::problem::{Doing, Outcome, Problem};

/// The unit of /proc/PID/stat, the same on every Linux that runs this.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a role's processes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }

    fn since(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
        }
    }
}

/// Bytes of a role's processes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) pss: u64,
}

/// Processes by role: `edge`, `agent`, `origin`, `load`.
pub(crate) type Roles = BTreeMap<String, Vec<u32>>;

/// What roles use between two instants, and what the rest of the machine takes from them meanwhile.
pub(crate) struct Window {
    roles: Roles,
    begun: Instant,
    cpu: BTreeMap<String, Cpu>,
    busy: f64,
}

/// What was used within a window.
pub(crate) struct Used {
    pub(crate) seconds: f64,
    pub(crate) cpu: BTreeMap<String, Cpu>,
    /// Cores that others used.
    pub(crate) others: f64,
}

impl Window {
    pub(crate) fn open(roles: Roles) -> Outcome<Self> {
        Ok(Self {
            cpu: cpu_of(&roles)?,
            busy: busy()?,
            begun: Instant::now(),
            roles,
        })
    }

    pub(crate) fn close(self) -> Outcome<Used> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu = difference(&self.cpu, &cpu_of(&self.roles)?);
        let ours: f64 = cpu.values().map(|cpu| cpu.total()).sum();
        let others = ((busy()? - self.busy - ours) / seconds).max(0.0);
        Ok(Used {
            seconds,
            cpu,
            others,
        })
    }
}

fn cpu_of(roles: &Roles) -> Outcome<BTreeMap<String, Cpu>> {
    roles
        .iter()
        .map(|(role, pids)| {
            let mut sum = Cpu::default();
            for pid in pids {
                let one = cpu(*pid)?;
                sum.user += one.user;
                sum.system += one.system;
            }
            Ok((role.clone(), sum))
        })
        .collect()
}

fn difference(
    before: &BTreeMap<String, Cpu>,
    after: &BTreeMap<String, Cpu>,
) -> BTreeMap<String, Cpu> {
    let begin = |role: &String| before.get(role).copied().unwrap_or_default();
    after
        .iter()
        .map(|(role, cpu)| (role.clone(), cpu.since(begin(role))))
        .collect()
}

pub(crate) fn memory_of(pids: &[u32]) -> Outcome<Memory> {
    let mut sum = Memory::default();
    for pid in pids {
        let text = read(&format!("/proc/{pid}/smaps_rollup"))?;
        sum.rss += kibibytes(&text, "Rss:")?;
        sum.pss += kibibytes(&text, "Pss:")?;
    }
    Ok(sum)
}

/// A process and all that descend from it.
pub(crate) fn tree(root: u32) -> Outcome<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").doing("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end while we look.
        if let Ok(fields) = stat(pid) {
            let parent = fields.get(1).and_then(|field| field.parse().ok());
            children
                .entry(parent.unwrap_or_default())
                .or_default()
                .push(pid);
        }
    }
    let (mut found, mut next) = (vec![root], 0);
    while let Some(pid) = found.get(next).copied() {
        found.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// Seconds that all cores together were not idle: user, nice, system, interrupts, and what the host took.
fn busy() -> Outcome<f64> {
    let text = read("/proc/stat")?;
    let fields = text.lines().next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let all: f64 = ticks.iter().take(8).sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    Ok((all - idle) / TICKS_PER_SECOND)
}

fn cpu(pid: u32) -> Outcome<Cpu> {
    let fields = stat(pid)?;
    let seconds = |index: usize| -> Outcome<f64> {
        let ticks: Option<f64> = fields.get(index).and_then(|field| field.parse().ok());
        let ticks = ticks.ok_or_else(|| Problem::new(format!("/proc/{pid}/stat is short")))?;
        Ok(ticks / TICKS_PER_SECOND)
    };
    Ok(Cpu {
        user: seconds(11)?,
        system: seconds(12)?,
    })
}

/// The fields after the command's name, which may hold anything.
fn stat(pid: u32) -> Outcome<Vec<String>> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    let rest = text
        .rsplit_once(") ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    Ok(rest.split(' ').map(str::to_owned).collect())
}

fn kibibytes(text: &str, field: &str) -> Outcome<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| Problem::new(format!("no {field} in smaps_rollup")))
}

fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(path).doing(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_tree() {
        let me = std::process::id();
        let memory = memory_of(&[me]).unwrap();
        assert!(memory.rss >= memory.pss && memory.pss > 0);
        assert!(tree(me).unwrap().contains(&me));
    }

    #[test]
    fn work_is_seen() {
        let roles = Roles::from([("load".to_owned(), vec![std::process::id()])]);
        let window = Window::open(roles).unwrap();
        let mut sum = 0_u64;
        while cpu(std::process::id()).unwrap().total() - window.cpu["load"].total() < 0.05 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        assert!(window.close().unwrap().cpu["load"].total() >= 0.05);
    }
}
