//! `--nodes N`: this same program as further node processes on this machine.
//!
//! `mobula run --nodes N` does the same for any program; here it is done by hand, because chaos
//! wants processes that it may kill. A process of ours ends with the pipe that is its standard
//! input: so however this one ends, none is left behind.

use std::{
    env, io,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use mobula::{ClusterConfig, NodeConfig, prelude::*};
use rand::RngCore;

/// How long all processes may take to find each other.
const JOIN_LIMIT: Duration = secs(20);

/// How long they may take to leave before they are killed.
const LEAVE_LIMIT: Duration = secs(8);

/// The node processes that this one started.
#[derive(Default)]
pub(crate) struct Processes {
    living: Vec<Child>,
    address: String,
    secret: String,
}

/// Whether somebody else (`mobula run`, `mobula up`) has said which cluster this process is of.
pub(crate) fn are_given() -> bool {
    ["MOBULA_LISTEN", "MOBULA_JOIN"].iter().any(|name| env::var_os(name).is_some())
}

impl Processes {
    /// A node in this process, `count - 1` in others, and all of them know each other.
    pub(crate) async fn start(count: u16) -> anyhow::Result<(Node, Self)> {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut cluster = ClusterConfig::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        cluster.secret = Some(secret.clone());
        let mut config = NodeConfig::from_environment(|name| env::var(name).ok())?;
        config.cluster = Some(cluster);
        let node = Node::builder().config(config).start().await?;
        let address = node.addresses().first().cloned().unwrap_or_default();
        let mut processes = Self { living: Vec::new(), address, secret };
        for _ in 1..count {
            processes.start_one()?;
        }
        let count = usize::from(count);
        node.wait_for_nodes(count, JOIN_LIMIT).await.map_err(|found| {
            anyhow::anyhow!("{found} of {count} nodes were there after {JOIN_LIMIT:?}")
        })?;
        Ok((node, processes))
    }

    /// One more, which serves and never gets to `tell`.
    pub(crate) fn start_one(&mut self) -> io::Result<()> {
        let child = Command::new(env::current_exe()?)
            .env("MOBULA_ROLE", "worker")
            .env("MOBULA_LISTEN", "127.0.0.1:0")
            .env("MOBULA_JOIN", &self.address)
            .env("MOBULA_SECRET", &self.secret)
            .env("MOBULA_LEAVE_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        self.living.push(child);
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.living.len()
    }

    /// kill -9; false if there is none of this number.
    pub(crate) fn kill(&mut self, index: usize) -> io::Result<bool> {
        if index >= self.living.len() {
            return Ok(false);
        }
        let mut victim = self.living.swap_remove(index);
        let killed = victim.kill();
        victim.wait()?;
        killed.map(|()| true)
    }

    /// Lets all leave, and kills those that do not.
    pub(crate) async fn end(mut self) {
        for process in &mut self.living {
            drop(process.stdin.take());
        }
        let all_ended = async {
            for process in &mut self.living {
                // A process says nothing when it ends: it is looked at.
                while let Ok(None) = process.try_wait() {
                    tokio::time::sleep(ms(2)).await;
                }
            }
        };
        if tokio::time::timeout(LEAVE_LIMIT, all_ended).await.is_err() {
            for process in &mut self.living {
                // It may have ended just now.
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}
