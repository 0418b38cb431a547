//! Programs in other languages, and the packages that they import: installed as
//! `tests/<of>/` pins them, once, by the first test that needs them. Debian's own
//! beside them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{process::Command, sync::Mutex};

/// Tests that want the same at once wait for each other.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// Runs a program to its good end, and tells what it printed.
pub async fn run(command: &mut Command) -> String {
    let said = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let said = said.unwrap_or_else(|error| panic!("{command:?}: {error}; `.ci/run` says what has to be installed"));
    let (out, error) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{command:?}\n{out}\n{error}");
    out.into_owned()
}

/// The folder of Python's packages.
pub async fn python(of: &str) -> PathBuf {
    let install = installed(of, "python", &["requirements.txt"], |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]);
        pip.arg("--target").arg(folder).arg("-r").arg(folder.join("requirements.txt"));
        pip
    });
    install.await
}

/// The folder of Node's packages.
pub async fn node(of: &str) -> PathBuf {
    let install = installed(of, "node", &["package.json", "package-lock.json"], |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        npm
    });
    install.await
}

/// A program of a package of Debian's: as it is installed, else out of the package, which is then unpacked and not
/// installed. Its service would take the port of herald's metrics.
pub async fn debian(package: &str, program: &str) -> PathBuf {
    if Command::new(program).arg("--version").stdin(Stdio::null()).output().await.is_ok() {
        return program.into();
    }
    let _one_by_one = INSTALLING.lock().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{package}-debian"));
    if !folder.exists() {
        let new = folder.with_extension("new");
        fs::remove_dir_all(&new).ok();
        fs::create_dir_all(&new).unwrap();
        run(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&new)).await;
        let archive = fs::read_dir(&new).unwrap().next().unwrap().unwrap().path();
        run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&new)).await;
        fs::remove_file(archive).unwrap();
        fs::rename(&new, &folder).unwrap();
    }
    folder.join("usr/bin").join(program)
}

/// A folder with packages, made anew where other ones are wanted.
async fn installed(of: &str, language: &str, pins: &[&str], install: impl FnOnce(&Path) -> Command) -> PathBuf {
    let _one_by_one = INSTALLING.lock().await;
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(of);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{of}-{language}"));
    let differs = |file: &&str| fs::read(folder.join(file)).ok() != fs::read(own.join(file)).ok();
    if pins.iter().any(differs) {
        fs::remove_dir_all(&folder).ok();
        let new = folder.with_extension("new");
        fs::remove_dir_all(&new).ok();
        fs::create_dir_all(&new).unwrap();
        for file in pins {
            fs::copy(own.join(file), new.join(file)).unwrap();
        }
        run(&mut install(&new)).await;
        fs::rename(&new, &folder).unwrap();
    }
    folder
}
