//! A server's process: the test's own child, or one that `vault-dev/cluster` has started. Ends with the test.

use std::process::{Child, Command};
use std::time::Duration;

pub struct Process {
    pid: u32,
    /// Only a child can be waited for.
    child: Option<Child>,
    /// Once true its id may be somebody else's.
    ended: bool,
}

impl Process {
    pub fn of_child(child: Child) -> Self {
        Self { pid: child.id(), child: Some(child), ended: false }
    }

    pub fn of_pid(pid: u32) -> Self {
        Self { pid, child: None, ended: false }
    }

    pub fn id(&self) -> u32 {
        self.pid
    }

    pub fn has_ended(&mut self) -> bool {
        self.ended = self.ended
            || match &mut self.child {
                Some(child) => child.try_wait().expect("waited").is_some(),
                None => !is_running(self.pid),
            };
        self.ended
    }

    /// Process ids of what it has started, from the process table.
    pub fn children(&self) -> Vec<u32> {
        let output = Command::new("ps").args(["-o", "pid=", "--ppid", &self.pid.to_string()]).output();
        let text = String::from_utf8(output.expect("ps runs").stdout).expect("text");
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Returns once it has ended.
    pub fn wait(&mut self) {
        while !self.has_ended() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            kill(&[self.pid]);
            self.wait();
        }
    }
}

/// kill -9. False where one of them has ended before.
pub fn kill(pids: &[u32]) -> bool {
    let pids = pids.iter().map(u32::to_string);
    Command::new("kill").arg("-9").args(pids).status().is_ok_and(|status| status.success())
}

/// A process that nobody has waited for is in the table, but does not run.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}
