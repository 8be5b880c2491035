//! Where a function runs: on which core, and with how much of it.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The period of a quota in microseconds. The shortest quota that Linux takes is 1,000 in a period.
const PERIOD: u64 = 20_000;

/// The cores: functions have the last one to themselves, the doubles have the others.
#[derive(Clone, Copy)]
pub struct Cores {
    functions: CpuSet,
    doubles: CpuSet,
}

impl Cores {
    /// Moves this thread, and those that it starts from now on, to the doubles' cores. `None` where there is one core.
    pub fn divide() -> Option<Cores> {
        let all = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let mut usable: Vec<usize> =
            (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or(false)).collect();
        let last = usable.pop()?;
        let set = |cores: &[usize]| {
            let mut set = CpuSet::new();
            cores.iter().try_for_each(|core| set.set(*core)).map(|()| set)
        };
        if usable.is_empty() {
            return None;
        }
        let cores = Cores { functions: set(&[last]).ok()?, doubles: set(&usable).ok()? };
        sched_setaffinity(Pid::from_raw(0), &cores.doubles).ok()?;
        Some(cores)
    }
}

/// Where a function is started.
#[derive(Clone, Copy, Default)]
pub struct Place<'p> {
    /// The cores are divided, where there are several.
    pub cores: Option<&'p Cores>,
    /// No more of a core than this.
    pub quota: Option<&'p Quota>,
}

impl Place<'_> {
    /// Starts something there: this thread goes there for as long, and what it starts stays.
    pub fn start<T>(self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if let Some(cores) = self.cores {
            sched_setaffinity(Pid::from_raw(0), &cores.functions)?;
        }
        let started = match self.quota {
            Some(quota) => quota.enter().and_then(|()| start()),
            None => start(),
        };
        if let Some(quota) = self.quota {
            quota.leave()?;
        }
        if let Some(cores) = self.cores {
            sched_setaffinity(Pid::from_raw(0), &cores.doubles)?;
        }
        started
    }
}

/// A part of a core, by a control group of its own that is removed with it.
pub struct Quota {
    /// One of so many parts.
    pub part: u64,
    group: PathBuf,
    /// The group that this process is in otherwise.
    own: PathBuf,
    /// The file of a group that takes threads (version 1) or processes (version 2).
    members: &'static str,
}

impl Quota {
    /// One of so many parts of a core. An error says why this machine has none to give.
    pub fn one_of(part: u64) -> Result<Quota, String> {
        let Controller { above, own, version } = controller()?;
        let group = above.join(format!("hookgate-bench-{}-{part}", std::process::id()));
        let told = |error: io::Error| format!("{}: {error}", group.display());
        fs::create_dir(&group).map_err(told)?;
        let members = if version == 1 { "tasks" } else { "cgroup.procs" };
        let quota = Quota { part, own, members, group: group.clone() };
        let share = PERIOD / part;
        let written = if version == 1 {
            fs::write(group.join("cpu.cfs_period_us"), PERIOD.to_string())
                .and_then(|()| fs::write(group.join("cpu.cfs_quota_us"), share.to_string()))
        } else {
            fs::write(group.join("cpu.max"), format!("{share} {PERIOD}"))
        };
        written.map_err(told)?;
        // That one may go there and back is known when it was done.
        quota.enter().and_then(|()| quota.leave()).map_err(told)?;
        Ok(quota)
    }

    fn enter(&self) -> io::Result<()> {
        fs::write(self.group.join(self.members), "0")
    }

    fn leave(&self) -> io::Result<()> {
        fs::write(self.own.join(self.members), "0")
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Its last process may not be gone yet; an empty group that is left over does no harm.
        drop(fs::remove_dir(&self.group));
    }
}

/// The controller of CPU time.
struct Controller {
    /// The group in which groups of ours can be made.
    above: PathBuf,
    /// The group that this process is in.
    own: PathBuf,
    version: u8,
}

fn controller() -> Result<Controller, String> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let mounts = read(Path::new("/proc/mounts"))?;
    let memberships = read(Path::new("/proc/self/cgroup"))?;
    let mounted = |kind: &str, option: Option<&str>| {
        mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, is, options) = (words.next()?, words.next()?, words.next()?);
            let fits = is == kind && option.is_none_or(|option| options.split(',').any(|has| has == option));
            fits.then(|| PathBuf::from(at))
        })
    };
    // `4:cpu,cpuacct:/path` of version 1, `0::/path` of version 2.
    let own = |root: &Path, name: &str| {
        let path = memberships.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|is| is == name).then_some(path)
        });
        root.join(path.unwrap_or_default().trim_start_matches('/'))
    };
    if let Some(root) = mounted("cgroup", Some("cpu")) {
        let own = own(&root, "cpu");
        return Ok(Controller { above: own.clone(), own, version: 1 });
    }
    let root = mounted("cgroup2", None).ok_or("no control groups are mounted")?;
    let children = root.join("cgroup.subtree_control");
    if !read(&children)?.split_whitespace().any(|name| name == "cpu") {
        fs::write(&children, "+cpu").map_err(|error| format!("{}: {error}", children.display()))?;
    }
    // At the top: a group with processes in it has none below that share out CPU time.
    Ok(Controller { own: own(&root, ""), above: root, version: 2 })
}
