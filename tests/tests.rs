//! The one integration-test binary: modules that drive the real program and the public API.
//! A test that needs what this machine lacks (a recording, a GPU, PulseAudio) prints that it skipped.

mod agent;
mod architecture;
mod bad_input;
mod calls;
mod convert;
#[cfg(feature = "sound")]
mod devices;
mod golden_llm;
#[cfg(feature = "voice")]
mod hearing;
mod hostile;
mod kv;
#[cfg(feature = "voice")]
mod live;
mod models;
#[cfg(feature = "voice")]
mod owner;
mod plan;
mod robust;
#[cfg(feature = "voice")]
mod speaking;
mod support;
mod systemd;
mod talk;
#[cfg(feature = "voice")]
mod writing;

/// Counts what hostile files take; everything else does not notice.
#[global_allocator]
static METER: hostile::meter::Meter = hostile::meter::Meter;
