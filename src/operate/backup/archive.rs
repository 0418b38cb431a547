//! A backup as a folder: files, a manifest that says what they are, and the sums
//! of all of them as `sha256sum -c` reads them. Written under another name until
//! it is whole; read only where every sum is right.

use crate::secret::hex;
use anyhow::{Context, bail, ensure};
use events::{EventId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

/// Of what is in the folder, and how. Another one is another format.
pub(super) const FORMAT: u16 = 1;
const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
/// What a backup is called until it is whole.
const PARTIAL: &str = "partial";
const PORTION: usize = 1 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u16,
    /// The version that made it.
    pub(crate) herald: String,
    /// Of keys, when their reading began; of all else, when the last partition was copied.
    pub(crate) taken_at: Timestamp,
    /// Of the log that it is of.
    pub(crate) epoch: Uuid,
    pub(crate) partitions: u16,
    pub(crate) streams: Vec<StreamFile>,
    pub(crate) buckets: Vec<BucketFile>,
}

/// A partition of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamFile {
    pub(crate) partition: u16,
    /// It has all events up to here, and maybe some that came meanwhile.
    pub(crate) end: u64,
    /// The event at that sequence.
    pub(crate) newest: Option<EventId>,
    /// What the events take uncompressed.
    pub(crate) bytes: u64,
    pub(crate) file: String,
    pub(crate) file_bytes: u64,
}

/// Records of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BucketFile {
    pub(crate) kind: String,
    pub(crate) partition: Option<u16>,
    pub(crate) records: u64,
    pub(crate) file: String,
    pub(crate) file_bytes: u64,
}

/// A backup that is being written; dropped before its end, it is removed.
pub(super) struct Writer {
    partial: PathBuf,
    to: PathBuf,
    sums: Mutex<BTreeMap<String, String>>,
}

/// A file of it.
pub(super) struct FileWriter<'a> {
    writer: &'a Writer,
    name: String,
    file: File,
    digest: Sha256,
    bytes: u64,
}

/// A backup whose every sum is right.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Writer {
    /// Makes the folder.
    ///
    /// # Errors
    /// When there is something in it already, or it cannot be made.
    pub(super) fn begin(to: &Path) -> anyhow::Result<Self> {
        let taken = fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(!taken, "{} is not empty: a backup gets a folder of its own", to.display());
        let name = to.file_name().with_context(|| format!("{} is no name for a folder", to.display()))?;
        let partial = to.with_file_name(format!("{}.{PARTIAL}", name.display()));
        // Of a backup that was killed.
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(|| format!("{} cannot be removed", partial.display()))?;
        }
        fs::create_dir_all(&partial).with_context(|| format!("{} cannot be created", partial.display()))?;
        fs::set_permissions(&partial, Permissions::from_mode(0o700))?;
        Ok(Self { partial, to: to.to_owned(), sums: Mutex::default() })
    }

    pub(super) fn file(&self, name: String) -> anyhow::Result<FileWriter<'_>> {
        let path = self.partial.join(&name);
        let file = File::create_new(&path).with_context(|| format!("{} cannot be created", path.display()))?;
        Ok(FileWriter { writer: self, name, file, digest: Sha256::new(), bytes: 0 })
    }

    /// Says what it holds, and gives it its name.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn finish(self, manifest: &Manifest) -> anyhow::Result<()> {
        let mut file = self.file(MANIFEST.to_owned())?;
        file.write(serde_json::to_string_pretty(manifest)?.as_bytes())?;
        file.finish()?;
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = File::create_new(self.partial.join(SUMS))?;
        for (name, sum) in sums.iter() {
            writeln!(file, "{sum}  {name}")?;
        }
        file.sync_all()?;
        File::open(&self.partial)?.sync_all()?;
        fs::rename(&self.partial, &self.to).with_context(|| format!("{} cannot be named", self.to.display()))?;
        let parent = self.to.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After its end there is nothing under that name.
        fs::remove_dir_all(&self.partial).ok();
    }
}

impl FileWriter<'_> {
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("{} cannot be written", self.name))?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Has it on the disk, and reads it again: how many bytes it has.
    ///
    /// # Errors
    /// When the disk does not take it, or gives something else back.
    pub(super) fn finish(self) -> anyhow::Result<u64> {
        let Self { writer, name, file, digest, bytes } = self;
        file.sync_all().with_context(|| format!("{name} cannot be written"))?;
        let sum = hex(&digest.finalize());
        let path = writer.partial.join(&name);
        ensure!(sum_of(&path)? == sum, "{} does not hold what was written to it", path.display());
        writer.sums.lock().unwrap_or_else(PoisonError::into_inner).insert(name, sum);
        Ok(bytes)
    }
}

impl Archive {
    /// Opens a backup and reads all of it to see that it is what was written.
    ///
    /// # Errors
    /// When it is not, or of a format that this version does not know.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        let lines = fs::read_to_string(folder.join(SUMS)).with_context(|| format!("{shown} is no whole backup"))?;
        let mut sums = BTreeMap::new();
        for line in lines.lines() {
            let (sum, name) = line.split_once("  ").with_context(|| format!("{shown}/{SUMS} is broken"))?;
            ensure!(!name.contains('/'), "{shown}/{SUMS} names a file elsewhere");
            ensure!(sum_of(&folder.join(name))? == sum, "{shown}/{name} is not what was written: its sum differs");
            sums.insert(name, sum);
        }
        let text = fs::read(folder.join(MANIFEST))?;
        ensure!(sums.get(MANIFEST) == Some(&hex(&Sha256::digest(&text)).as_str()), "{shown} has no manifest");
        let format = serde_json::from_slice::<serde_json::Value>(&text)?["format"].as_u64();
        if format != Some(FORMAT.into()) {
            bail!("{shown} is a backup of another version of herald");
        }
        let manifest: Manifest =
            serde_json::from_slice(&text).with_context(|| format!("{shown}/{MANIFEST} is broken"))?;
        for file in manifest.files() {
            ensure!(sums.contains_key(file.as_str()), "{shown}/{file} is missing");
        }
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    pub(crate) fn read(&self, file: &str) -> anyhow::Result<BufReader<File>> {
        Ok(BufReader::with_capacity(PORTION, File::open(self.folder.join(file))?))
    }
}

impl Manifest {
    /// All bytes of its files.
    pub(crate) fn file_bytes(&self) -> u64 {
        let streams = self.streams.iter().map(|stream| stream.file_bytes);
        streams.chain(self.buckets.iter().map(|bucket| bucket.file_bytes)).sum()
    }

    /// How many records of a kind there are; `None` where it holds none of that kind.
    pub(crate) fn records(&self, kind: &str) -> Option<u64> {
        let of_kind = self.buckets.iter().filter(|bucket| bucket.kind == kind).map(|bucket| bucket.records);
        of_kind.reduce(|sum, records| sum + records)
    }

    pub(crate) fn events(&self) -> u64 {
        self.streams.iter().map(|stream| stream.end).sum()
    }

    fn files(&self) -> impl Iterator<Item = &String> {
        self.streams.iter().map(|stream| &stream.file).chain(self.buckets.iter().map(|bucket| &bucket.file))
    }
}

fn sum_of(path: &Path) -> anyhow::Result<String> {
    let unreadable = || format!("{} cannot be read", path.display());
    let (mut file, mut digest) = (File::open(path).with_context(unreadable)?, Sha256::new());
    let mut portion = vec![0; PORTION];
    loop {
        match file.read(&mut portion).with_context(unreadable)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&portion[..read]),
        }
    }
}
