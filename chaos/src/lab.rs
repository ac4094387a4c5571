//! A lab: machines that are network namespaces, with a router between them that loses, delays and cuts.
//!
//! Faults on the machine's own network would hit whoever else uses it, and a run that is killed would leave them there.
//! So the whole run lives in a network namespace of its own (`enclosure`), each machine is a process that holds one
//! more, and a wire between two of them is a TUN device whose packets this process carries. When the processes end,
//! the kernel takes everything back: nothing has a name that could be left behind.
//!
//! Invariant: addresses, links and routes are changed only inside namespaces that this run made.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tappers::{Interface, Tun};

use crate::process;
use crate::shape::Rules;

pub(crate) mod enclosure;
mod router;

use router::Router;

/// Where nodes listen, each on a machine of its own.
pub(crate) const PORT: u16 = 7000;

/// The packets of a wire are larger than an Ethernet's, so that fewer of them go through the router.
const MTU: u16 = 9000;

/// Machines on one network.
pub(crate) struct Lab {
    machines: Vec<Machine>,
    router: Router,
}

/// A namespace, held by a process.
struct Machine {
    holder: Child,
    device: String,
}

/// The lab was not built, or a machine's network was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    #[error("`{program}` could not be run; it is in the package {package}")]
    NoProgram { program: &'static str, package: &'static str, source: io::Error },
    #[error("`{command}` failed: {text}")]
    Refused { command: String, text: String },
    #[error("no TUN device; the run needs write access to /dev/net/tun")]
    NoDevice(#[source] io::Error),
    #[error("machine {0} did not start")]
    NoMachine(u16),
}

/// The address of a machine.
#[must_use]
pub(crate) fn address(machine: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(router::NETWORK + u32::from(machine) + 1)
}

impl Lab {
    /// Builds machines 0 to `count`, whose network is well. `seed` decides about single packets.
    pub(crate) fn build(count: u16, seed: u64) -> Result<Self, LabError> {
        let mut machines = Vec::new();
        let mut wires = Vec::new();
        for machine in 0..count {
            let (built, wire) = Machine::build(machine)?;
            machines.push(built);
            wires.push(Arc::new(wire));
        }
        Ok(Self { machines, router: Router::start(wires, seed) })
    }

    /// A program that will run on this machine.
    pub(crate) fn command(&self, machine: u16, program: &std::path::Path) -> Command {
        let holder = self.machines[usize::from(machine)].holder.id();
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &holder.to_string(), "--"]).arg(program);
        command
    }

    /// Changes what happens to packets.
    pub(crate) fn set(&self, rules: Rules) {
        self.router.set(rules);
    }

    /// Packets that were carried, and that were dropped.
    pub(crate) fn carried(&self) -> (u64, u64) {
        self.router.carried()
    }

    /// The machine's link, down or up.
    pub(crate) fn plug(&self, machine: u16, is_up: bool) -> Result<(), LabError> {
        let built = &self.machines[usize::from(machine)];
        let state = if is_up { "up" } else { "down" };
        built.ip(&format!("link set {} {state}", built.device))
    }

    /// Whether the machine has a route to another.
    pub(crate) fn route(&self, machine: u16, to: u16, is_there: bool) -> Result<(), LabError> {
        let verb = if is_there { "del" } else { "add" };
        self.machines[usize::from(machine)]
            .ip(&format!("route {verb} blackhole {}/32", address(to)))
    }
}

impl Machine {
    fn build(machine: u16) -> Result<(Self, Tun), LabError> {
        let device = format!("m{machine}");
        let name = Interface::new(&device).map_err(LabError::NoDevice)?;
        let wire = Tun::new_named(name).map_err(LabError::NoDevice)?;
        let mut command = Command::new("unshare");
        command.arg("--net").arg("--").arg(process::own_program()).arg("hold");
        let mut holder = process::own(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| LabError::NoProgram {
                program: "unshare",
                package: "util-linux",
                source,
            })?;
        // It speaks when it is where it belongs.
        let mut word = String::new();
        let said = holder.stdout.take().map(|out| BufReader::new(out).read_line(&mut word));
        let built = Self { holder, device };
        if !matches!(said, Some(Ok(1..))) {
            return Err(LabError::NoMachine(machine));
        }
        ip(
            &mut Command::new("ip"),
            &format!("link set {} netns {}", built.device, built.holder.id()),
        )?;
        let (device, own) = (&built.device, address(machine));
        built.ip(&format!(
            "link set lo up\naddr add {own}/16 dev {device}\nlink set {device} mtu {MTU} up"
        ))?;
        Ok((built, wire))
    }

    fn ip(&self, lines: &str) -> Result<(), LabError> {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.id().to_string(), "--", "ip"]);
        ip(&mut command, lines)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        process::end(&mut self.holder);
    }
}

/// Gives `ip` lines to carry out.
fn ip(command: &mut Command, lines: &str) -> Result<(), LabError> {
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let no_program = |source| LabError::NoProgram { program: "ip", package: "iproute2", source };
    let mut running = command.spawn().map_err(no_program)?;
    if let Some(mut input) = running.stdin.take() {
        // If it does not read, it says why.
        let _ = input.write_all(lines.as_bytes());
    }
    let ended = running.wait_with_output().map_err(no_program)?;
    if ended.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    Err(LabError::Refused { command: format!("ip {}", lines.replace('\n', "; ")), text })
}
