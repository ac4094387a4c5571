//! `mobula ca`: an authority in a folder, and a cluster that lives by what it signs.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use mobula::{AuthorityConfig, ClusterConfig, Node};

const LIMIT: Duration = Duration::from_secs(30);

fn ca(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mobula")).arg("ca").args(words).output().unwrap()
}

#[track_caller]
fn line(words: &[&str]) -> String {
    let output = ca(words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder of this test's own, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap().trim().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

async fn start(join: &[String], authority: AuthorityConfig) -> Result<Node, mobula::NodeError> {
    let mut config = ClusterConfig::listen("127.0.0.1:0".parse().unwrap());
    config.join = join.to_vec();
    config.authority = Some(authority);
    Node::builder().num_cpus(1.0).cluster(config).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_authority_signs_opens_a_cluster_and_what_it_takes_back_does_not() {
    let folder = Folder::new("ca");
    let dir = folder.path("authority");
    let public = line(&["init", "--dir", &dir]);
    assert_eq!(folder.read("authority/authority.pub"), public);
    let key = fs::metadata(folder.path("authority/authority.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600, "its owner's alone");
    let again = ca(&["init", "--dir", &dir]);
    assert_eq!(again.status.code(), Some(2), "a key is never written over another");

    let mut papers = AuthorityConfig::new(&*public);
    papers.signing_key = Some(folder.read("authority/authority.key"));
    let issuer = start(&[], papers).await.unwrap();
    let addresses = issuer.addresses();

    let mut papers = AuthorityConfig::new(&*public);
    papers.token = Some(line(&["token", "--dir", &dir, "--role", "client", "--can", "submit"]));
    let by_token = start(&addresses, papers).await.unwrap();

    let node_key = line(&["key", "--out", &folder.path("node.key")]);
    let mut papers = AuthorityConfig::new(&*public);
    papers.node_key = Some(folder.read("node.key"));
    papers.certificate =
        Some(line(&["certify", "--dir", &dir, "--node", &node_key, "--hours", "2"]));
    let by_certificate = start(&addresses, papers.clone()).await.unwrap();
    issuer.wait_for_nodes(3, LIMIT).await.unwrap();
    let rows = issuer.nodes();
    let known = rows.iter().find(|row| row.key == node_key).unwrap();
    assert!(!known.client && rows.iter().any(|row| row.client), "{rows:?}");

    let told = tokio::task::spawn_blocking({
        let (dir, node_key, address) = (dir.clone(), node_key.clone(), addresses[0].clone());
        move || line(&["revoke", "--dir", &dir, "--node", &node_key, "--join", &address])
    });
    told.await.unwrap();
    let gone = by_certificate.id().unwrap();
    tokio::time::timeout(LIMIT, issuer.node_gone(gone)).await.unwrap();
    by_certificate.shutdown().await;
    let refused = start(&addresses, papers).await.unwrap_err();
    let text = mobula::ErrorText::new(refused).to_string();
    assert!(text.contains("revoked"), "{text}");
    by_token.shutdown().await;
    issuer.shutdown().await;
}

#[test]
fn a_folder_without_an_authority_and_a_wrong_role_are_named() {
    let folder = Folder::new("no-ca");
    let output = ca(&["token", "--dir", &folder.path("nothing")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("mobula ca init"));
    let output = ca(&["token", "--dir", ".", "--role", "king"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("member, client or observer"));
}
