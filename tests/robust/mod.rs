//! What must not bring the program down, nor keep it up when it is of no use: readers that go away, full disks, closed
//! descriptors, signals, a second daemon, a model that is written over.

mod command_line;
#[cfg(feature = "voice")]
mod daemon;
