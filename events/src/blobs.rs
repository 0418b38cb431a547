//! Files beside the log, in an object store: a local folder, or with the feature
//! `s3` a bucket that speaks S3. A file is a run of sealed parts, each an object
//! of its own: memory is bounded, a range needs its parts only, and a part that
//! was changed does not open.

use crate::{AttachmentId, seal::AuthorKey};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path};
use std::{fmt, path::PathBuf, sync::Arc};
use uuid::Uuid;

/// Bytes of every part but the last.
pub const PART: usize = 1 << 20;

/// Where files lie. Clones share everything.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Where it is a local one.
    folder: Option<PathBuf>,
}

/// Which part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub of: AttachmentId,
    pub index: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the store of files does not answer")]
    Unavailable(#[from] object_store::Error),
    #[error("the folder of files cannot be used")]
    Folder(#[from] std::io::Error),
    #[error("{0} is no store of files: give a folder, or with the feature `s3` an address `s3://bucket/prefix`")]
    NoStore(String),
    #[error("this is not the store that the deployment's files lie in: give all nodes the same `--attachments`")]
    AnotherStore,
    #[error("{0} is not there, or is not what was stored")]
    Broken(Part),
}

impl Blobs {
    /// Opens a store: a folder, which is made where there is none, or `s3://bucket/prefix`. `syncs`: a local part is on
    /// the disk before it counts.
    ///
    /// # Errors
    /// When the folder cannot be made, or the address is not one of a store.
    pub fn open(place: &str, syncs: bool) -> Result<Self, BlobError> {
        if place.contains("://") {
            return remote(place).map(|store| Self { store, folder: None });
        }
        std::fs::create_dir_all(place)?;
        let folder = std::fs::canonicalize(place)?;
        let store = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(syncs);
        Ok(Self { store: Arc::new(store), folder: Some(folder) })
    }

    /// Leaves a mark by which the store is known again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn mark(&self, id: Uuid) -> Result<(), BlobError> {
        self.store.put(&mark(id), PutPayload::default()).await?;
        Ok(())
    }

    /// Whether that mark was left here.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn is_marked(&self, id: Uuid) -> Result<bool, BlobError> {
        match self.store.head(&mark(id)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            found => Ok(found.map(|_| true)?),
        }
    }

    /// Stores a part, sealed.
    ///
    /// # Errors
    /// When the store does not answer: the part may or may not be there.
    pub async fn put(&self, key: &AuthorKey, part: Part, mut bytes: Vec<u8>) -> Result<(), BlobError> {
        key.seal_part(part.of.uuid(), part.index, &mut bytes);
        self.store.put(&part.path(), PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// A part's bytes, opened.
    ///
    /// # Errors
    /// When it is not there, or not as it was stored; when the store does not answer.
    pub async fn get(&self, key: &AuthorKey, part: Part) -> Result<Bytes, BlobError> {
        let stored = match self.store.get(&part.path()).await {
            Err(object_store::Error::NotFound { .. }) => return Err(BlobError::Broken(part)),
            stored => stored?.bytes().await?,
        };
        let mut bytes = Vec::from(stored);
        if key.open_part(part.of.uuid(), part.index, &mut bytes) {
            Ok(bytes.into())
        } else {
            Err(BlobError::Broken(part))
        }
    }

    /// Removes a file, whole or half; one that is not there is removed already.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remove(&self, file: AttachmentId) -> Result<(), BlobError> {
        let folder = folder(file);
        if let Some(root) = &self.folder {
            // The store lists no part that was cut off while it was written.
            return match tokio::fs::remove_dir_all(root.join(folder.as_ref())).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        let paths = self.store.list(Some(&folder)).map_ok(|object| object.location).boxed();
        let removed = self.store.delete_stream(paths);
        let absent = |error: &object_store::Error| matches!(error, object_store::Error::NotFound { .. });
        removed
            .try_for_each(async |_| Ok(()))
            .await
            .or_else(|error| if absent(&error) { Ok(()) } else { Err(error) })?;
        Ok(())
    }
}

impl Part {
    fn path(self) -> Path {
        folder(self.of).join(self.index.to_string())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of file {}", self.index, self.of)
    }
}

fn mark(id: Uuid) -> Path {
    Path::from_iter(["store", &id.to_string()])
}

/// Ids begin with the time: their ends spread files over folders.
fn folder(file: AttachmentId) -> Path {
    let id = file.to_string();
    Path::from_iter([&id[id.len() - 2..], &id])
}

#[cfg(feature = "s3")]
fn remote(address: &str) -> Result<Arc<dyn ObjectStore>, BlobError> {
    // Who may, and where the service is, say the variables that AWS' own tools read.
    let store = object_store::aws::AmazonS3Builder::from_env().with_url(address).build()?;
    let prefix = address.splitn(4, '/').nth(3).unwrap_or_default();
    Ok(Arc::new(object_store::prefix::PrefixStore::new(store, prefix)))
}

#[cfg(not(feature = "s3"))]
fn remote(address: &str) -> Result<Arc<dyn ObjectStore>, BlobError> {
    Err(BlobError::NoStore(address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{BlobError, Blobs, Part};
    use crate::{AttachmentId, seal::AuthorKey};
    use uuid::Uuid;

    #[expect(clippy::disallowed_methods, reason = "tests keep their files apart")]
    fn store() -> (Blobs, std::path::PathBuf) {
        let folder = std::env::temp_dir().join(format!("herald-blobs-{}", Uuid::now_v7()));
        (Blobs::open(folder.to_str().expect("a temporary folder has a plain name"), false).expect("a folder"), folder)
    }

    #[tokio::test]
    async fn a_part_opens_only_as_it_was_stored_and_where_it_was_stored() {
        let (blobs, folder) = store();
        let (mine, theirs) = (AuthorKey::new(&[1; 32]), AuthorKey::new(&[2; 32]));
        let first = Part { of: AttachmentId::from_uuid(Uuid::from_u128(7)), index: 0 };
        let second = Part { index: 1, ..first };
        blobs.put(&mine, first, b"what was written".to_vec()).await.unwrap();
        assert_eq!(&blobs.get(&mine, first).await.unwrap()[..], b"what was written");
        let file = |part: Part| folder.join(part.path().as_ref());
        let stored = std::fs::read(file(first)).unwrap();
        assert!(!stored.windows(7).any(|window| window == b"written"), "sealed at rest");
        assert!(matches!(blobs.get(&theirs, first).await, Err(BlobError::Broken(_))), "under another's key");
        std::fs::write(file(second), &stored).unwrap();
        assert!(matches!(blobs.get(&mine, second).await, Err(BlobError::Broken(_))), "in another's place");
        let mut flipped = stored;
        flipped[0] ^= 1;
        std::fs::write(file(first), flipped).unwrap();
        assert!(matches!(blobs.get(&mine, first).await, Err(BlobError::Broken(_))), "changed");
        std::fs::write(file(first).with_extension("0#1"), "half").unwrap();
        blobs.remove(first.of).await.unwrap();
        blobs.remove(first.of).await.unwrap();
        assert!(!file(first).parent().unwrap().exists(), "nothing is left of it");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
