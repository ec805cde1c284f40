//! The guest's kernel, out of Debian's package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::tools;

/// A package without files of its own, which depends on the newest kernel package.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// What makes a network card on virtio-pci work, each after what it needs. One that a kernel has
/// built in is left out. Debian builds IPv6 in; other kernels have it as the module `ipv6`.
const MODULES: &[&str] = &[
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "ipv6",
];

/// An unpacked kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The bootable image.
    pub(super) image: PathBuf,
    /// Plain `.ko` files in loading order.
    pub(super) modules: Vec<PathBuf>,
}

impl Kernel {
    /// The kernel below `directory`; downloads and unpacks it there the first time.
    pub(super) fn find_or_download(directory: &Path) -> Result<Self> {
        let home = directory.join("kernel");
        if !home.is_dir() {
            let scratch = directory.join(format!("kernel.{}.tmp", std::process::id()));
            fs::create_dir_all(&scratch).map_err(|error| failed(&scratch, error))?;
            let kept = download(&scratch)
                .and_then(|package| unpack(&package, &scratch))
                .and_then(|unpacked| keep(&unpacked, &scratch.join("kept")))
                .and_then(|kept| fs::rename(&kept, &home).map_err(|error| failed(&home, error)));
            let removed = fs::remove_dir_all(&scratch).map_err(|error| failed(&scratch, error));
            kept.and(removed)?;
        }
        Self::read(&home)
    }

    /// Reads a directory that [`keep`] filled.
    fn read(home: &Path) -> Result<Self> {
        let mut modules: Vec<PathBuf> = fs::read_dir(home)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(|error| failed(home, error))?
            .iter()
            .map(fs::DirEntry::path)
            .filter(|path| path.extension().is_some_and(|extension| extension == "ko"))
            .collect();
        let place = |module: &PathBuf| {
            let stem = module.file_stem().unwrap_or_default();
            MODULES.iter().position(|name| stem == *name)
        };
        modules.sort_by_key(place);
        Ok(Self { image: home.join("vmlinuz"), modules })
    }
}

/// Downloads the package that the meta package depends on, and says where it lies.
fn download(scratch: &Path) -> Result<PathBuf> {
    let what = "download the guests' kernel";
    let hint = |failure| Failure::new(what, format!("{failure} (try: sudo apt-get update)"));
    let cache = tools::find("apt-cache", "apt")?;
    let show =
        tools::output_of(Command::new(cache).args(["show", "--no-all-versions", META_PACKAGE]));
    let description = String::from_utf8_lossy(&show.map_err(hint)?).into_owned();
    let package = dependency(&description)
        .ok_or_else(|| Failure::new(what, format!("{META_PACKAGE} depends on no kernel")))?;
    println!("Downloading the guests' kernel: {package}");
    let get = tools::find("apt-get", "apt")?;
    let mut get = Command::new(get);
    tools::output_of(get.args(["download", package]).current_dir(scratch)).map_err(hint)?;
    file_with(scratch, |name| name.ends_with(".deb"))
        .ok_or_else(|| Failure::new(what, "apt-get left no package"))
}

/// The kernel package that a description's `Depends:` line names.
fn dependency(description: &str) -> Option<&str> {
    let depends = description.lines().find_map(|line| line.strip_prefix("Depends:"))?;
    let names = depends.split([',', '|']).filter_map(|entry| entry.split_whitespace().next());
    names.into_iter().find(|name| name.starts_with("linux-image-"))
}

/// Unpacks the package without installing it.
fn unpack(package: &Path, scratch: &Path) -> Result<PathBuf> {
    let tool = tools::find("dpkg-deb", "dpkg")?;
    let unpacked = scratch.join("unpacked");
    tools::output_of(Command::new(tool).arg("-x").args([package, &unpacked]))?;
    Ok(unpacked)
}

/// Takes the image and the modules out of an unpacked package into `kept`.
fn keep(unpacked: &Path, kept: &Path) -> Result<PathBuf> {
    let what = "unpack the guests' kernel";
    let missing = |name: &str| Failure::new(what, format!("the package has no {name}"));
    fs::create_dir(kept).map_err(|error| failed(kept, error))?;
    let image = file_with(&unpacked.join("boot"), |name| name.starts_with("vmlinuz"));
    let image = image.ok_or_else(|| missing("boot/vmlinuz"))?;
    fs::copy(&image, kept.join("vmlinuz")).map_err(|error| failed(&image, error))?;
    let files = files_below(&unpacked.join("lib/modules"))
        .or_else(|_| files_below(&unpacked.join("usr/lib/modules")))?;
    let built_in = built_in(&files)?;
    for name in MODULES {
        match files.iter().find(|path| module_name(path).as_deref() == Some(*name)) {
            Some(file) => {
                let to = kept.join(format!("{name}.ko"));
                fs::write(&to, module_bytes(file)?).map_err(|error| failed(&to, error))?;
            }
            None if built_in.contains(&(*name).to_owned()) => {}
            None => return Err(missing(name)),
        }
    }
    Ok(kept.to_owned())
}

/// The names in the package's `modules.builtin`.
fn built_in(files: &[PathBuf]) -> Result<Vec<String>> {
    let Some(list) = files.iter().find(|path| path.ends_with("modules.builtin")) else {
        return Ok(Vec::new());
    };
    let text = fs::read_to_string(list).map_err(|error| failed(list, error))?;
    Ok(text.lines().filter_map(|line| module_name(Path::new(line))).collect())
}

/// A module's name: its file's, without endings, with `_` for `-` as modprobe(8) has it.
fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".ko").or_else(|| Some(name.rsplit_once(".ko.")?.0))?;
    Some(stem.replace('-', "_"))
}

/// A module as the kernel takes it; packages may hold it compressed.
fn module_bytes(file: &Path) -> Result<Vec<u8>> {
    let (tool, package) = match file.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => ("xz", "xz-utils"),
        Some("zst") => ("zstd", "zstd"),
        Some("gz") => ("gzip", "gzip"),
        _ => return fs::read(file).map_err(|error| failed(file, error)),
    };
    let tool = tools::find(tool, package)?;
    tools::output_of(Command::new(tool).arg("-dc").arg(file))
}

/// Every file below `directory`; links are not followed.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| failed(&directory, error))? {
            let entry = entry.map_err(|error| failed(&directory, error))?;
            let kind = entry.file_type().map_err(|error| failed(&directory, error))?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// The first file in `directory` whose name is right.
fn file_with(directory: &Path, is_right: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.filter_map(std::result::Result::ok);
    entries
        .map(|e| e.path())
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_right))
}

fn failed(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(format!("unpack the guests' kernel in {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_package_is_named_by_its_meta_package() {
        let description = "Package: m\n\
                           Depends: a | b, linux-image-6.1.0-9-cloud-amd64 (= 6.1.1-1)\n\
                           Description: linux-image-none\n";
        assert_eq!(dependency(description), Some("linux-image-6.1.0-9-cloud-amd64"));
        assert_eq!(dependency("Package: m\n"), None);
    }

    #[test]
    fn module_names_are_free_of_endings_and_dashes() {
        let name = |path: &str| module_name(Path::new(path));
        assert_eq!(name("a/virtio-rng.ko").as_deref(), Some("virtio_rng"));
        assert_eq!(name("a/virtio_net.ko.xz").as_deref(), Some("virtio_net"));
        assert_eq!(name("a/modules.dep"), None);
    }

    /// A package's tree with these modules, whose contents are their names, unpacked and kept.
    fn kept(test: &str, modules: &[&str], built_in: &str) -> Result<Kernel> {
        let root = std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id()));
        let tree = root.join("lib/modules/6.1/kernel");
        fs::create_dir_all(root.join("boot")).unwrap();
        fs::create_dir_all(&tree).unwrap();
        fs::write(root.join("boot/vmlinuz-6.1"), "image").unwrap();
        fs::write(root.join("lib/modules/6.1/modules.builtin"), built_in).unwrap();
        for module in modules {
            fs::write(tree.join(format!("{module}.ko")), module).unwrap();
        }
        let kernel = keep(&root, &root.join("kept")).and_then(|kept| Kernel::read(&kept));
        fs::remove_dir_all(&root).unwrap();
        kernel
    }

    #[test]
    fn modules_come_in_loading_order_without_those_built_in() {
        let (last, others) = MODULES.split_last().unwrap();
        let mut shuffled = others.to_vec();
        shuffled.reverse();
        let kernel = kept("order", &shuffled, &format!("kernel/net/{last}.ko\n")).unwrap();
        let names: Vec<_> = kernel.modules.iter().filter_map(|path| module_name(path)).collect();
        assert_eq!(names, others);
    }

    #[test]
    fn a_kernel_without_a_module_is_refused() {
        let failure = kept("missing", &MODULES[1..], "").unwrap_err().to_string();
        assert!(failure.contains(MODULES[0]), "{failure}");
    }
}
