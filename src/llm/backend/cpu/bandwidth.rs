//! Memory bandwidth: how fast this machine's threads read memory, the roofline of decoding.

use std::time::{Duration, Instant};

use super::buffer::Buffer;
use super::pool::Pool;
use crate::error::Result;

/// Bytes read at a time by one thread: several times any last-level cache share.
const PART: usize = 256 << 20;

/// Bytes a second that `threads` threads together read from memory, each a stretch of its own, the best of `rounds`.
///
/// Source: as STREAM (McCalpin, 1995), but reading only, as a token does.
///
/// # Errors
/// [`crate::error::Kind::Unavailable`] where the system has no memory or threads to give: 256 MiB a thread are taken.
pub fn read_bandwidth(threads: usize, rounds: u32) -> Result<f64> {
    let pool = Pool::new(threads)?;
    let parts: Vec<Buffer<u64>> =
        (0..pool.threads()).map(|_| Buffer::zeroed(PART / size_of::<u64>())).collect::<Result<_>>()?;
    let mut best = Duration::MAX;
    for _ in 0..rounds.max(1) {
        let started = Instant::now();
        pool.run(parts.len(), &|i| {
            std::hint::black_box(read(&parts[i]));
        });
        best = best.min(started.elapsed());
    }
    Ok((parts.len() * PART) as f64 / best.as_secs_f64())
}

/// Reads every byte, a cache line a step.
fn read(part: &[u64]) -> u64 {
    let mut sums = [0u64; 8];
    for line in part.chunks_exact(8) {
        prefetch(line);
        sums.iter_mut().zip(line).for_each(|(s, v)| *s ^= v);
    }
    sums.iter().fold(0, |a, b| a ^ b)
}

#[inline]
fn prefetch(line: &[u64]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // As far ahead as the kernels prefetch.
        const AHEAD: usize = 2560;
        // SAFETY: SSE is part of every x86-64 processor, and a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast::<i8>().wrapping_add(AHEAD)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let words: Vec<u64> = (0..80).map(|i| 1 << (i % 64)).collect();
        assert_eq!(read(&words), words.iter().fold(0, |a, b| a ^ b));
    }

    #[test]
    fn memory_is_neither_a_disk_nor_a_cache() {
        let speed = read_bandwidth(2, 2).expect("memory");
        assert!((5e8..5e12).contains(&speed), "{speed}");
    }
}
