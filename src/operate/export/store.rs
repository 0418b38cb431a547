//! The folder that is exported to: files of Parquet by type and day, and a
//! manifest that names those that count. A file counts once the manifest that
//! names it is there; whatever else lies there is of a run that was broken off,
//! and goes.

use super::row::Row;
use anyhow::{Context, ensure};
use events::Vector;
use parquet::{
    basic::Compression,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    record::RecordWriter,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const MANIFEST: &str = "manifest.json";
const EVENTS: &str = "events";
/// What is not whole yet.
const PART: &str = "part";

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Which log, and which history of it.
    pub(super) source: String,
    /// By what the key of the pseudonyms is known again; `None`: ids are what they are.
    pub(super) pseudonyms: Option<String>,
    /// Up to where.
    pub(super) vector: String,
    runs: u64,
    /// The rows of each file.
    pub(super) files: BTreeMap<String, u64>,
}

pub(super) struct Store {
    folder: PathBuf,
    pub(super) manifest: Manifest,
}

/// Rows by type and day.
pub(super) type Chunk = BTreeMap<(String, chrono::NaiveDate), Vec<Row>>;

impl Store {
    /// Opens what was exported to a folder, or begins. Clears away what a run left that was broken off.
    ///
    /// # Errors
    /// When it is of another log, or under other names; technical ones.
    pub(super) fn open(folder: &Path, source: String, pseudonyms: Option<String>) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join(EVENTS)).with_context(|| folder.display().to_string())?;
        let begun = Manifest { source, pseudonyms, vector: String::new(), runs: 0, files: BTreeMap::new() };
        let manifest = match fs::read(folder.join(MANIFEST)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged", folder.join(MANIFEST).display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => begun.clone(),
            Err(error) => return Err(error.into()),
        };
        ensure!(
            manifest.source == begun.source,
            "{} holds another log, or another history of this one: export to a folder of its own",
            folder.display()
        );
        ensure!(
            manifest.pseudonyms == begun.pseudonyms,
            "{} was exported under other names: the key is another, or --ids was another",
            folder.display()
        );
        let store = Self { folder: folder.to_owned(), manifest };
        store.clear(&store.folder.join(EVENTS))?;
        Ok(store)
    }

    pub(super) fn vector(&self) -> anyhow::Result<Vector> {
        let vector = &self.manifest.vector;
        if vector.is_empty() { Ok(Vector::default()) } else { Ok(vector.parse()?) }
    }

    pub(super) fn rows(&self) -> u64 {
        self.manifest.files.values().sum()
    }

    /// Writes files, and then the manifest that makes them count, up to a vector.
    pub(super) fn commit(&mut self, chunk: &Chunk, vector: &Vector) -> anyhow::Result<()> {
        let mut manifest = self.manifest.clone();
        manifest.runs += 1;
        manifest.vector = vector.to_string();
        for ((kind, day), rows) in chunk {
            let name = format!("{EVENTS}/type={kind}/day={day}/{:08}.parquet", manifest.runs);
            let path = self.folder.join(&name);
            fs::create_dir_all(path.parent().expect("it lies in a folder"))?;
            replace(&path, |file| write(file, rows))?;
            manifest.files.insert(name, u64::try_from(rows.len())?);
        }
        replace(&self.folder.join(MANIFEST), |mut file| {
            serde_json::to_writer_pretty(&mut file, &manifest)?;
            Ok(file.write_all(b"\n")?)
        })?;
        self.manifest = manifest;
        Ok(())
    }

    fn clear(&self, folder: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(&self.folder).expect("it lies in there").to_string_lossy().into_owned();
            if path.is_dir() {
                self.clear(&path)?;
            } else if !self.manifest.files.contains_key(&name) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Has a file be there whole, or as it was before.
fn replace(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let part = path.with_extension(PART);
    let file = File::create(&part).with_context(|| part.display().to_string())?;
    write(&file)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    // The name is as durable as what it names.
    Ok(File::open(path.parent().expect("it lies in a folder"))?.sync_all()?)
}

fn write(file: &File, rows: &[Row]) -> anyhow::Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file, rows.schema()?, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    rows.write_to_row_group(&mut group)?;
    group.close()?;
    writer.close()?;
    Ok(())
}
