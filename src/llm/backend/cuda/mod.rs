//! The CUDA backend: ternary kernels compiled ahead of time, run through the driver alone.
//!
//! From the bottom up: [`fault`], [`device`], [`memory`], [`function`] and [`stream`] wrap the driver's calls; [`agreed`] is what
//! host and kernels must agree about; each file of `kernels/` has its launcher here under the same name ([`gemv`], [`gemm`], …);
//! [`linear`], [`head`] and [`kv`] are what lies on the device, [`workspace`] what a session has beside. [`operations`] is the
//! [`Backend`](super::Backend), whose operations run each kernel by itself; [`model`] strings the fused ones together, a token
//! as one recorded graph. No file knows one above it; folders and the compiler's path are passed in.

mod agreed;
mod arena;
mod attend;
pub mod bench;
mod decode;
mod device;
mod embed;
mod fault;
mod function;
mod gemm;
mod gemv;
mod gpu;
mod head;
pub mod kernels;
mod kv;
mod linear;
mod loader;
mod memory;
pub(in crate::llm) mod model;
mod modules;
mod nvml;
mod nvrtc;
mod operations;
mod packing;
mod partials;
mod prompt_attend;
mod quantize;
mod repack;
mod rig;
mod room;
mod rows;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod topk;
mod workspace;

pub use head::Head;
pub use kv::Kv;
pub use linear::Linear;
pub use nvml::memory_used;
pub use nvrtc::Nvrtc;
pub use operations::Cuda;
pub use packing::Packing;
