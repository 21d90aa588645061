//! Arenas on a real device.

use super::super::arena::Arena;
use super::*;

const PAGE: u64 = 2 << 20;

#[test]
fn no_memory_left_is_an_error_after_which_all_goes_on() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let Some(arena) = Arena::new(&cuda.gpu.device).expect("there are addresses") else {
        println!("skipped: the device does not map pages");
        return;
    };
    let before = cuda.allocated();
    let small = arena.alloc(1000).expect("fits");
    cuda.stream.upload(&small, 0, &[7; 1000]).expect("uploads");
    // Half of the device twice over, which something has already.
    let total = arena.addresses();
    let half = arena.alloc(total / 2);
    let rest = arena.alloc(total / 2 - PAGE);
    let e = rest.err().expect("the context alone takes more than a page");
    assert_eq!(e.kind(), Kind::Unavailable, "{e}");
    drop(half);
    let mut back = [0; 1000];
    cuda.stream.download(&small, 0, &mut back).expect("the stream goes on");
    assert_eq!(back, [7; 1000]);
    assert!(arena.alloc(1 << 20).is_ok(), "a small one still fits");
    drop((small, arena));
    assert_eq!(cuda.allocated(), before, "all is given back");
}
