//! The workspace's packages, as cargo itself reads their manifests.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

pub(super) struct Package {
    pub(super) name: String,
    /// Below the workspace's root.
    pub(super) manifest: String,
    metadata: Value,
}

pub(super) fn packages() -> Vec<Package> {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = |metadata: &Value| Package {
        name: metadata["name"].as_str().unwrap().to_owned(),
        manifest: below(root, metadata["manifest_path"].as_str().unwrap()),
        metadata: metadata.clone(),
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

impl Package {
    /// Of every kind: what only tests import ties rooms together as well.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = &str> {
        let dependencies = self.metadata["dependencies"].as_array().unwrap();
        dependencies.iter().map(|dependency| dependency["name"].as_str().unwrap())
    }

    /// Where the manifest names a dependency, or its first line.
    pub(super) fn place(&self, dependency: &str, complaint: &str) -> String {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&self.manifest)).unwrap();
        let names = |line: &str| {
            let after = line.strip_prefix(dependency);
            after.is_some_and(|after| after.starts_with([' ', '.', '=']))
                || line.ends_with(&format!("ependencies.{dependency}]"))
        };
        let number = text.lines().position(names).map_or(1, |index| index + 1);
        format!("{}:{number}: `{dependency}` {complaint}", self.manifest)
    }
}

fn below(root: &str, path: &str) -> String {
    Path::new(path).strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}
