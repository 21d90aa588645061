//! What must neither bring the program down nor keep it running when it is of no use: readers that go away, full disks, closed
//! descriptors, signals, a kill, a second daemon, a model that is overwritten.

mod command_line;
#[cfg(feature = "voice")]
mod daemon;
#[cfg(feature = "voice")]
mod kept;
