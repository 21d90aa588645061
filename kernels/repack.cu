// Stored blocks into the kernels' own layouts, on the device, chunk by chunk as the file streams in.
//
// `repack_2bit`, `repack_base3`: ternary rows [count, cols] of any ternary type into tiles (common.cuh) of W.
//   A thread makes one 32-bit word: one row, one tile, 4 columns of each of its KB runs. With `group_scale`, scales too.
//   Destination row: first + i, or, where gate and up are paired (pair 0 gate, 1 up), ((first+i)/8)·16 + pair·8 + (first+i)%8.
//   A code of 3 cannot be written in base 3: `bad` counts them.
// `repack_blocks4`, `repack_blocks8`: Q4_0 and Q8_0 rows into planes of integers and fp16 scales. Block b of a row lies where
//   lane b%32 of the head's warp reads it: integers [row][b], scales [row][b%32][b/32].
// Source: blocks.cuh; ⌈v·256/243⌉ as quantize_row_tq1_0_ref of ggml-org/llama.cpp, ggml/src/ggml-quants.c at 36491e4. Errors: none.
// Geometry: 256 threads, one word or block each. Reduction: none.
#include "common.cuh"
#include "blocks.cuh"

struct RepackArgs {
    const u8* from;
    u64 row_bytes;
    u32* w;
    u16* group_scale;  // null where all scales are one
    int* bad;
    int ty, count, cols, tiles;
    int first, pair;   // pair: -1 where rows are not paired
    int group;         // columns that share a scale in the destination: 64 or 128
};
AGREED(RepackArgs)

template <int KB> __device__ __forceinline__ void repack(const RepackArgs& a) {
    const int words = a.tiles * 8;  // words of a row: (tile, c, upper half of 32)
    u64 id = (u64)blockIdx.x * THREADS + threadIdx.x;
    if (id >= (u64)a.count * words) return;
    int i = (int)(id / words), in = (int)(id % words), tile = in >> 3, c = in & 3, upper = in >> 2 & 1;
    int row = a.first + i;
    if (a.pair >= 0) row = (row >> 3) * 16 + a.pair * 8 + (row & 7);
    const u8* from = a.from + (u64)i * a.row_bytes;
    const int of = ternary_cols(a.ty), size = ternary_bytes(a.ty);
    u32 word = 0;
    for (int b = 0; b < 4; b++) {
        int byte = 0;
        for (int j = 0; j < KB; j++) {
            int col = tile * 32 * KB + 32 * j + 16 * upper + 4 * c + b, code = 1;
            if (col < a.cols) {
                const u8* block = from + (u64)(col / of) * size;
                if (ternary_scale(block, a.ty) != 0.0f) code = ternary_code(block, a.ty, col % of);
                if (KB == 5 && code > 2) { atomicAdd(a.bad, 1); code = 2; }
            }
            byte = KB == 4 ? byte | code << (2 * j) : byte * 3 + code;
        }
        if (KB == 5) byte = (byte * 256 + 242) / 243;
        word |= (u32)byte << (8 * b);
    }
    int strip = row >> 4, r = row & 15, lane = (r & 7) * 4 + c;
    u64 at = ((u64)strip * a.tiles + tile) * 32 + lane;
    a.w[at * 4 + upper * 2 + (r >> 3)] = word;
    if (KB == 4 && a.group_scale && c == 0 && upper == 0) {
        int per = 128 / a.group;
        for (int p = 0; p < per; p++) {
            int col = tile * 128 + p * a.group;
            u16 d = col < a.cols ? f2h(ternary_scale(from + (u64)(col / of) * size, a.ty)) : (u16)0;
            a.group_scale[(((u64)strip * a.tiles + tile) * 16 + r) * per + p] = d;
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) repack_2bit(const RepackArgs a) { repack<4>(a); }
extern "C" __global__ void __launch_bounds__(THREADS) repack_base3(const RepackArgs a) { repack<5>(a); }

struct BlocksArgs {
    const u8* from;
    u8* q;
    u16* scale;
    int blocks;  // of a row
    int per_lane;
    int rows;
    int first;
};
AGREED(BlocksArgs)

template <int BYTES> __device__ __forceinline__ void repack_blocks(const BlocksArgs& a) {
    u64 id = (u64)blockIdx.x * THREADS + threadIdx.x;
    if (id >= (u64)a.rows * a.blocks) return;
    int row = (int)(id / a.blocks), b = (int)(id % a.blocks);
    const u8* from = a.from + id * (BYTES + 2);
    u64 to_row = a.first + row;
    u8* q = a.q + (to_row * a.blocks + b) * BYTES;
    for (int i = 0; i < BYTES; i++) q[i] = from[2 + i];
    a.scale[(to_row * 32 + (b & 31)) * a.per_lane + (b >> 5)] = u16_at(from);
}

extern "C" __global__ void __launch_bounds__(THREADS) repack_blocks4(const BlocksArgs a) { repack_blocks<16>(a); }
extern "C" __global__ void __launch_bounds__(THREADS) repack_blocks8(const BlocksArgs a) { repack_blocks<32>(a); }
