// The output matrix: final RMSNorm, int8 with a scale per 32, logits, and the argmax.
//
// x' = x·r·w; per 32: m = max|x'|, q = round_half_even(x'·127/m), d_x = fp16(m/127); logit = Σ_block dot(q, w)·(d_w·d_x).
// Source: blocks and the int8 row as Q4_0, Q8_0 and their dot product in ggml-org/llama.cpp, ggml/src/ggml-quants.c at 36491e4.
// Errors: 5e-4 of the largest apart from the reference at most (an activation at a tie may round the other way).
// Shapes: x f32 [cols], W as planes (repack.cu) of INT4 or INT8 blocks [rows, cols], logits f32 [rows], best u64 [blocks].
// Geometry: 16 warps a block, one block a multiprocessor; every block norms and quantizes the row for itself. A lane keeps
//   the activations of its NB blocks (b%32 = lane) in registers and streams the same blocks of row after row through a ring
//   in shared memory; rows are dealt to warps in turn.
// `head_any` computes Σ x'·w in f32 from blocks of any type, a row a warp: for heads in other formats, slower.
// `best` has the argmax of each block's rows: the logit, made comparable as an integer, over the inverted id, so that the lowest
//   of equal logits wins; NaN never (0: none). It may be host memory, which then needs no copy.
// Reduction order: a lane's blocks in order, then a butterfly over the warp.
#include "common.cuh"
#include "blocks.cuh"

#define THREADS (WARPS * 32)

extern __shared__ uint4 shared[];

struct HeadArgs {
    const float* x;
    const float* norm;
    const u8* q;
    const u16* scale;
    float* logits;
    u64* best;
    u64 row_bytes;  // head_any
    int ty;         // head_any
    int rows, cols;
    float eps;
};
AGREED(HeadArgs)

__device__ __forceinline__ u64 comparable(float logit, int row) {
    u32 b = __float_as_uint(logit);
    b = b & 0x80000000u ? ~b : b | 0x80000000u;
    return logit == logit ? (u64)b << 32 | (u32)~row : 0;
}

// The normed row into `to` (shared).
__device__ __forceinline__ void normed(const HeadArgs& a, float* to, double* scratch) {
    double square = 0;
    for (int i = threadIdx.x; i < a.cols; i += THREADS) {
        float v = __ldcg(a.x + i);
        to[i] = v;
        square = fma((double)v, (double)v, square);
    }
    float r = block_rms<WARPS>(square, a.cols, a.eps, scratch);
    for (int i = threadIdx.x; i < a.cols; i += THREADS) to[i] = to[i] * r * a.norm[i];
    __syncthreads();
}

__device__ __forceinline__ void publish(u64 best, u64* to) {
    __shared__ u64 of_warp[WARPS];
    if ((threadIdx.x & 31) == 0) of_warp[threadIdx.x >> 5] = best;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < WARPS; w++) best = of_warp[w] > best ? of_warp[w] : best;
        to[blockIdx.x] = best;
    }
}

template <int NB, bool INT8> __device__ __forceinline__ void head(const HeadArgs& a) {
    constexpr int PIECES = INT8 ? 2 : 1;  // 16-byte pieces of a block
    __shared__ double scratch[32];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, blocks = a.cols / 32;
    uint4* ring = shared + warp * DEPTH * PIECES * 32;
    float* row = (float*)(shared + WARPS * DEPTH * PIECES * 32);
    const int stride = gridDim.x * WARPS, first = blockIdx.x * WARPS + warp;
    pdl_launch();
    int pr = first, pi = 0;  // next block to copy: its row, its place among the lane's
    auto copy = [&](int slot) {
        int b = pi * 32 + lane;
        if (pr < a.rows && b < blocks) {
            const u8* from = a.q + ((size_t)pr * blocks + b) * (16 * PIECES);
#pragma unroll
            for (int p = 0; p < PIECES; p++) cp16(ring + (slot * PIECES + p) * 32 + lane, from + 16 * p);
        }
        cp_commit();
        if (++pi == NB) { pi = 0; pr += stride; }
    };
#pragma unroll
    for (int s = 0; s < DEPTH; s++) copy(s);
    auto scales = [&](int r, u16 (&d)[NB]) {
        const u16* from = a.scale + ((size_t)r * 32 + lane) * NB;
        if (NB == 4) {
            uint2 v = __ldg((const uint2*)from);
            d[0] = (u16)v.x; d[1 % NB] = (u16)(v.x >> 16); d[2 % NB] = (u16)v.y; d[3 % NB] = (u16)(v.y >> 16);
        } else {
#pragma unroll
            for (int i = 0; i < NB; i++) d[i] = __ldg(from + i);
        }
    };
    u16 ahead[NB];
    if (first < a.rows) scales(first, ahead);
    pdl_wait();
    normed(a, row, scratch);

    int x[NB][8], sum[NB];
    float d_x[NB];
#pragma unroll
    for (int i = 0; i < NB; i++) {
        int b = i * 32 + lane;
        float most = 0;
        if (b < blocks)
#pragma unroll
            for (int e = 0; e < 8; e++) most = fmaxf(most, absmax4(((const float4*)row)[b * 8 + (e + lane) % 8]));
        float s = most > 0 ? 127.0f / most : 0.0f;
        d_x[i] = h2f(f2h(most / 127.0f));
        sum[i] = 0;
#pragma unroll
        for (int e = 0; e < 8; e++) {
            x[i][e] = b < blocks ? (int)quantize4(((const float4*)row)[b * 8 + e], s) : 0;
            sum[i] = __dp4a(x[i][e], 0x01010101, sum[i]);
        }
    }
    u64 best = 0;
    int slot = 0;
    for (int r = first; r < a.rows; r += stride) {
        u16 d[NB];
#pragma unroll
        for (int i = 0; i < NB; i++) d[i] = ahead[i];
        if (r + stride < a.rows) scales(r + stride, ahead);
        float logit = 0;
#pragma unroll
        for (int i = 0; i < NB; i++) {
            cp_wait<DEPTH - 1>();
            int dot = 0;
            if (INT8) {
                uint4 lo = ring[slot * PIECES * 32 + lane], hi = ring[(slot * PIECES + PIECES - 1) * 32 + lane];
                u32 w[8] = {lo.x, lo.y, lo.z, lo.w, hi.x, hi.y, hi.z, hi.w};
#pragma unroll
                for (int e = 0; e < 8; e++) dot = __dp4a((int)w[e], x[i][e], dot);
            } else {
                uint4 v = ring[slot * 32 + lane];
                u32 w[4] = {v.x, v.y, v.z, v.w};
                int high = 0;
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    dot = __dp4a((int)(w[e] & 0x0f0f0f0fu), x[i][e], dot);
                    high = __dp4a((int)((w[e] >> 4) & 0x0f0f0f0fu), x[i][4 + e], high);
                }
                dot += high - 8 * sum[i];
            }
            copy(slot);
            slot = slot + 1 == DEPTH ? 0 : slot + 1;
            if (i * 32 + lane < blocks) logit += (float)dot * (h2f(d[i]) * d_x[i]);
        }
        logit = warp_sum(logit);
        if (lane == 0) {
            a.logits[r] = logit;
            u64 key = comparable(logit, r);
            best = key > best ? key : best;
        }
    }
    cp_wait<0>();
    publish(best, a.best);
}

#define HEAD(NB)                                                                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS) head_i4_##NB(const HeadArgs a) { head<NB, false>(a); }   \
    extern "C" __global__ void __launch_bounds__(THREADS) head_i8_##NB(const HeadArgs a) { head<NB, true>(a); }
HEAD(1)
HEAD(2)
HEAD(3)
HEAD(4)
HEAD(5)
HEAD(6)
HEAD(8)

extern "C" __global__ void __launch_bounds__(THREADS) head_any(const HeadArgs a) {
    __shared__ double scratch[32];
    float* row = (float*)shared;
    pdl_launch();
    pdl_wait();
    normed(a, row, scratch);
    u64 best = 0;
    for (int r = blockIdx.x * WARPS + (threadIdx.x >> 5); r < a.rows; r += gridDim.x * WARPS) {
        const u8* from = a.q + (u64)r * a.row_bytes;
        float logit = 0;
        for (int i = threadIdx.x & 31; i < a.cols; i += 32) logit += row[i] * weight_at(from, a.ty, i);
        logit = warp_sum(logit);
        if ((threadIdx.x & 31) == 0) {
            a.logits[r] = logit;
            u64 key = comparable(logit, r);
            best = key > best ? key : best;
        }
    }
    publish(best, a.best);
}

// The argmax of logits that are already there (ternary heads, whose product is a GEMV).
extern "C" __global__ void __launch_bounds__(THREADS) head_best(const HeadArgs a) {
    pdl_launch();
    pdl_wait();
    u64 best = 0;
    for (int r = blockIdx.x * THREADS + threadIdx.x; r < a.rows; r += gridDim.x * THREADS) {
        u64 key = comparable(__ldcg(a.logits + r), r);
        best = key > best ? key : best;
    }
    for (int o = 16; o; o >>= 1) {
        u64 other = __shfl_xor_sync(~0u, best, o);
        best = other > best ? other : best;
    }
    publish(best, a.best);
}
