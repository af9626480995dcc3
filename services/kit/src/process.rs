//! What a process does for its own protection, first of all.

/// No core dumps, and nobody of its own user may attach to it or read its memory: it holds keys and tokens in clear.
///
/// # Errors
/// When the system refuses; it is then as open as the machine leaves it.
pub fn harden() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
