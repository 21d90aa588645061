//! The one integration-test binary: modules that drive the real program and the public API.
//! A test that needs what this machine lacks (a recording, a GPU, PulseAudio) prints that it skipped.

mod architecture;
mod bad_input;
mod devices;
mod golden_llm;
mod hearing;
mod live;
mod models;
mod plan;
mod support;
mod systemd;
mod talk;
