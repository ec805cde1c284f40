//! A writer of the "new ASCII" cpio format, the one in which Linux takes its initial file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

/// Builds an archive in memory. Paths are relative, and a directory comes before what is in it.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const REGULAR: u32 = 0o100_000;

impl Writer {
    /// Adds a directory that everyone may read.
    pub(super) fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// Adds a regular file with these permission bits.
    pub(super) fn file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        self.entry(path, REGULAR | permissions, (0, 0), contents);
    }

    /// Adds a character device's node.
    pub(super) fn character_device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE | 0o600, (major, minor), &[]);
    }

    /// The whole archive, with the entry that ends it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    /// # Panics
    /// On contents of 4 GiB or more, which the format cannot name.
    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        let size = u32::try_from(contents.len()).expect("a file below 4 GiB");
        let name_size = u32::try_from(path.len() + 1).expect("a short path");
        self.entries += 1;
        let fields = [
            self.entries, // inode number
            mode,
            0, // owner
            0, // group
            1, // links
            0, // time of change
            size,
            0, // the device that holds the file
            0,
            device.0,
            device.1,
            name_size,
            0, // checksum, unused in this variant
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    /// The head with its name, and the contents, each end at a multiple of four bytes.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_the_kernel_reads_it() {
        let mut writer = Writer::default();
        writer.file("init", 0o755, b"hello");
        let bytes = writer.finish();
        let head = b"070701000000010000\
                     81ed0000000000000000000000010000000000000005\
                     0000000000000000000000000000000000000005\
                     00000000init\0";
        assert_eq!(&bytes[..115], head);
        assert_eq!(&bytes[115..124], b"\0hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
