//! `ca`: an authority for clusters whose members show certificates, as files in one folder.
//!
//! The authority's key signs who may come in; it belongs on no node but one that exchanges join tokens. Everything that
//! is written is a line of hexadecimal digits: tokens and certificates may be carried by hand, keys may be read by their
//! owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use mobula::{AuthorityConfig, Capabilities, ClusterConfig, Node, Role};
use mobula_cluster::Identity;
use mobula_cluster::admission::certificate::{Authority, UnixTime};
use mobula_cluster::identity::PublicKey;

use crate::CommandError;

/// How long the tool tries to join.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// The files of an authority.
const SIGNING_KEY: &str = "authority.key";
const PUBLIC_KEY: &str = "authority.pub";
const CLUSTER: &str = "cluster";

#[derive(Debug, Subcommand)]
pub(crate) enum Deed {
    /// Makes an authority: a folder with its keys
    Init {
        #[command(flatten)]
        place: Place,
        /// The cluster that it signs for
        #[arg(long, value_name = "NAME", default_value = "mobula")]
        cluster: String,
    },
    /// Makes a key for a node, and says its public half
    Key {
        /// The file to write it to
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
    },
    /// Signs a token by which nodes may join
    Token {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        terms: Terms,
        /// How many nodes may use it
        #[arg(long, value_name = "COUNT", default_value = "1")]
        uses: u32,
    },
    /// Signs a certificate for the key of one node
    Certify {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        terms: Terms,
        /// The node's public key
        #[arg(long, value_name = "KEY")]
        node: PublicKey,
    },
    /// Takes back every certificate of a node that was signed until now
    Revoke {
        #[command(flatten)]
        place: Place,
        /// The node's public key, as `mobula nodes` shows it
        #[arg(long, value_name = "KEY")]
        node: PublicKey,
        /// A member to tell, who tells the others; without one, the revocation is only written
        #[arg(long, value_name = "HOST:PORT")]
        join: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The authority's folder
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// member, client (hosts nothing) or observer (only looks)
    #[arg(long, value_name = "ROLE", default_value = "member", value_parser = role)]
    role: Role,
    /// What it may ask of others: some of spawn,submit,kill,observe, or all, or none
    #[arg(long, value_name = "RIGHTS", default_value = "all", value_parser = capabilities)]
    can: Capabilities,
    /// After how many hours it ends
    #[arg(long, value_name = "HOURS", default_value = "24")]
    hours: u64,
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "member" => Ok(Role::Member),
        "client" => Ok(Role::Client),
        "observer" => Ok(Role::Observer),
        _ => Err("a role is member, client or observer".to_owned()),
    }
}

fn capabilities(text: &str) -> Result<Capabilities, String> {
    let wrong = || "rights are some of spawn,submit,kill,observe, or all, or none".to_owned();
    Capabilities::from_names(text).ok_or_else(wrong)
}

/// Does it; what was signed goes to standard output.
pub(crate) fn perform(deed: Deed) -> Result<ExitCode, CommandError> {
    let line = match deed {
        Deed::Init { place, cluster } => init(&place.dir, &cluster)?,
        Deed::Key { out } => {
            let seed = random()?;
            write_secret(&out, &PublicKey(seed).to_string())?;
            identity(seed)?.public().to_string()
        }
        Deed::Token { place, terms, uses } => {
            let id = random()?;
            let mut short = [0; 16];
            short.copy_from_slice(&id[..16]);
            let signer = signer(&place.dir)?;
            signer.token(short, (terms.role, terms.can), terms.end(), uses).to_text()
        }
        Deed::Certify { place, terms, node } => {
            let signer = signer(&place.dir)?;
            signer.certify(node, (terms.role, terms.can), now(), terms.end()).to_text()
        }
        Deed::Revoke { place, node, join } => {
            let revocation = signer(&place.dir)?.revoke(node, now()).to_text();
            if let Some(address) = join {
                tell(&place.dir, address, &revocation)?;
            }
            revocation
        }
    };
    writeln!(io::stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}

impl Terms {
    fn end(&self) -> UnixTime {
        UnixTime(now().0.saturating_add(self.hours.saturating_mul(3600)))
    }
}

fn init(dir: &Path, cluster: &str) -> Result<String, CommandError> {
    fs::create_dir_all(dir)?;
    let seed = random()?;
    let public = identity(seed)?.public().to_string();
    // First, and never over another: whoever loses the key loses the cluster.
    write_secret(&dir.join(SIGNING_KEY), &PublicKey(seed).to_string())?;
    fs::write(dir.join(PUBLIC_KEY), format!("{public}\n"))?;
    fs::write(dir.join(CLUSTER), format!("{cluster}\n"))?;
    Ok(public)
}

/// Joins as one that only looks, with a certificate of the authority's own, and tells.
fn tell(dir: &Path, address: String, revocation: &str) -> Result<(), CommandError> {
    let mut config = ClusterConfig::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.name = read(dir, CLUSTER)?;
    config.join = vec![address];
    config.join_limit = JOIN_LIMIT;
    config.role = Role::Observer;
    let mut authority = AuthorityConfig::new(read(dir, PUBLIC_KEY)?);
    authority.signing_key = Some(read(dir, SIGNING_KEY)?);
    config.authority = Some(authority);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let node = Node::builder().num_cpus(0.0).cluster(config).start().await?;
        let told = node.revoke(revocation).await;
        node.shutdown().await;
        Ok(told?)
    })
}

fn signer(dir: &Path) -> Result<Authority, CommandError> {
    let unreadable = || CommandError::NoAuthority(dir.to_owned());
    let seed: PublicKey = read(dir, SIGNING_KEY)?.parse().map_err(|_digits| unreadable())?;
    Ok(Authority::new(read(dir, CLUSTER)?, identity(seed.0)?))
}

fn read(dir: &Path, file: &str) -> Result<String, CommandError> {
    let text = fs::read_to_string(dir.join(file));
    text.map(|text| text.trim().to_owned())
        .map_err(|_missing| CommandError::NoAuthority(dir.to_owned()))
}

/// A new file that its owner alone can read.
fn write_secret(path: &Path, text: &str) -> Result<(), CommandError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file =
        file.map_err(|source| CommandError::NotWritten { path: path.to_owned(), source })?;
    Ok(writeln!(file, "{text}")?)
}

fn identity(seed: [u8; 32]) -> Result<Identity, CommandError> {
    Identity::from_seed(&seed).map_err(|error| CommandError::Output(io::Error::other(error)))
}

fn random() -> Result<[u8; 32], CommandError> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "certificates begin and end at a date")]
fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}
