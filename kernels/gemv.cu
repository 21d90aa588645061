// Ternary GEMV for 1 to 8 rows: every weight is read once, whatever the number of rows.
//
// y = (Σ code·q − Σ q) · (row scale · x scale), code 0..2, q int8; grouped: y = (Σ_g d_g (Σ code·q − Σ q)) · (…).
// Source: W1.58A8 as in arXiv:2402.17764 (BitNet b1.58) and the code of its "Training Tips, Code and FAQ" (microsoft/unilm, bitnet);
//   RMSNorm arXiv:1910.07467; SwiGLU arXiv:2002.05202; operands as PTX ISA 8.5 lays out mma.m16n8k32's fragments.
// Errors: none of its own; with one scale a part the result is the reference's to the bit, else 2e-6 of the largest apart at most.
// Shapes: W packed [rows, cols] (see tiles in common.cuh), x f32 [cols] or int8 [n, xstride], y f32 [n, ystride].
// Geometry: one block of 8 warps a multiprocessor; a block has a run of strips of 16 rows, whose tiles are dealt to its warps
//   in turn. A lane loads its own 16 bytes of each tile into registers, DEPTH tiles ahead; the first ones are asked for
//   before the wait for the kernel before: weights depend on nothing.
// Prologue: fused RMSNorm + quantize of the one row, or quantize alone, computed by every block for itself (the row is in
//   L2); or int8 rows.
// Epilogue: store, add to y (residual), or SwiGLU of rows paired within a strip (8 of gate, 8 of up).
// Reduction order: integer sums are exact, in any order; group sums in tile order within a warp, warps in order.
#include "common.cuh"

#define THREADS (WARPS * 32)
static_assert(STRIP_ROWS == 16 && MAX_ROWS == 8, "the tensor cores' rows and columns");

struct GemvArgs {
    const uint4* w;
    const u16* group_scale;  // [strip][tile][16 rows][128 / group]
    const void* x;           // f32 [cols], or int8 [n, xstride]
    const float* norm;       // [cols]
    const float* xscale;     // [n]
    const int* xsums;        // [n, sums_stride]: the row's sum, then the sum of each 64 columns
    float* y;
    const char* next;        // weights of the kernel after this one, prefetched into L2 where there is no dependent launch
    u64 next_bytes;
    int rows, cols, tiles, strips;
    int n, xstride, sums_stride, ystride;
    int half;        // rows of gate where gate and up are paired, else 0
    int end0, end1;  // output rows from 0, end0, end1 on have scale0, scale1, scale2
    float scale0, scale1, scale2;
    float eps;
};
AGREED(GemvArgs)

enum { X_INT8, X_QUANTIZE, X_NORM };
enum { Y_STORE, Y_ADD, Y_SWIGLU };

__device__ __forceinline__ float row_scale(const GemvArgs& a, int row) {
    return row < a.end0 ? a.scale0 : row < a.end1 ? a.scale1 : a.scale2;
}

// 16 bytes that are read once, past the caches.
__device__ __forceinline__ uint4 stream16(const uint4* p) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
}

// NV: float4s of the row that a thread holds; DEPTH: tiles under way.
template <int KB, int NT, int PRO, int EPI, int GROUP, int NV, int DEPTH>
__device__ __forceinline__ void gemv(const GemvArgs& a) {
    constexpr int WORDS = 2 * KB, TILE_COLS = 32 * KB;
    constexpr int PER_TILE = GROUP ? 128 / GROUP : 1;  // scales of a row in a tile
    extern __shared__ uint4 shared[];
    __shared__ double scratch[32];
    __shared__ float x_scale[NT];
    __shared__ int x_total[NT];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, c = lane & 3;
    const int blocks = gridDim.x;
    const int base = (int)((long long)a.strips * blockIdx.x / blocks);  // first strip of this block
    const int mine = (int)((long long)a.strips * (blockIdx.x + 1) / blocks) - base;
    u32* xs = (u32*)shared;
    const int x_words = a.tiles * NT * 4 * WORDS;
    int* red = (int*)(xs + x_words);  // [strip][16 · NT], grouped f32 [strip][warp][16 · NT]
    const int red_words = mine * 16 * NT * (GROUP ? WARPS : 1);
    int* sums = red + red_words;      // grouped: [NT][tiles · 2]

    pdl_launch();
    const int total = mine * a.tiles;
    const uint4* w_at = a.w + ((size_t)base * a.tiles + warp) * 32 + lane;
    const u16* d_at = GROUP ? a.group_scale + ((size_t)base * a.tiles + warp) * 16 * PER_TILE + g * PER_TILE : nullptr;
    uint4 ring[DEPTH];
    u32 scale_ring[GROUP ? DEPTH : 1][2];
    auto load = [&](int d, int ahead) {
        ring[d] = stream16(w_at + ahead * (WARPS * 32));
        if (GROUP) {
            const u16* from = d_at + ahead * (WARPS * 16 * PER_TILE);
            if (PER_TILE == 2) { scale_ring[GROUP ? d : 0][0] = __ldg((const u32*)from); scale_ring[GROUP ? d : 0][1] = __ldg((const u32*)(from + 16)); }
            else { scale_ring[GROUP ? d : 0][0] = __ldg(from); scale_ring[GROUP ? d : 0][1] = __ldg(from + 8); }
        }
    };
#pragma unroll
    for (int d = 0; d < DEPTH; d++)
        if (warp + d * WARPS < total) load(d, d);
    for (int i = threadIdx.x; i < red_words; i += THREADS) red[i] = 0;
    // Columns behind the last and rows behind n count as zero.
    if (NT > 1 || a.cols < a.tiles * TILE_COLS)
        for (int i = threadIdx.x; i < x_words; i += THREADS) xs[i] = 0;
    if (threadIdx.x < NT) { x_scale[threadIdx.x] = 0; x_total[threadIdx.x] = 0; }
    if (GROUP)
        for (int i = threadIdx.x; i < NT * a.tiles * 2; i += THREADS) sums[i] = 0;
    __syncthreads();
    pdl_wait();

    auto row_of = [&](int strip, int row) {  // output row of a strip's row, or -1
        int at = base + strip;
        int out = !a.half ? at * 16 + row : row < 8 ? at * 8 + row : a.half + at * 8 + row - 8;
        return (a.half ? at * 8 + (row & 7) < a.half : out < a.rows) ? out : -1;
    };
    // The residual is asked for as early as it is there.
    float before = 0;
    if (EPI == Y_ADD && NT == 1 && threadIdx.x < mine * 16) {
        int out = row_of(threadIdx.x >> 4, threadIdx.x & 15);
        if (out >= 0) before = __ldcg(a.y + out);
    }
    auto word_at = [&](int n, int col) {  // where four columns from `col` on lie in xs
        int t = col / TILE_COLS, in = col - t * TILE_COLS;
        return ((t * NT + n) * 4 + ((in & 15) >> 2)) * WORDS + (in >> 5) * 2 + ((in >> 4) & 1);
    };
    if (PRO == X_INT8) {
        for (int n = 0; n < a.n; n++) {
            const u32* x = (const u32*)((const i8*)a.x + (size_t)n * a.xstride);
            for (int i = threadIdx.x; i * 4 < a.cols; i += THREADS) xs[word_at(n, i * 4)] = __ldcg(x + i);
            const int* s = a.xsums + (size_t)n * a.sums_stride;
            if (GROUP)
                for (int i = threadIdx.x; i * 64 < a.cols; i += THREADS) sums[n * a.tiles * 2 + i] = __ldcg(s + 1 + i);
            if (threadIdx.x == 0) { x_scale[n] = __ldcg(a.xscale + n); x_total[n] = __ldcg(s); }
        }
    } else {
        float4 v[NV];
        const float4* x = (const float4*)a.x;
        double square = 0;
#pragma unroll
        for (int i = 0; i < NV; i++) {
            int at = i * THREADS + threadIdx.x;
            v[i] = at * 4 < a.cols ? __ldcg(x + at) : make_float4(0, 0, 0, 0);
            if (PRO == X_NORM) {
                square = fma((double)v[i].x, (double)v[i].x, square);
                square = fma((double)v[i].y, (double)v[i].y, square);
                square = fma((double)v[i].z, (double)v[i].z, square);
                square = fma((double)v[i].w, (double)v[i].w, square);
            }
        }
        if (PRO == X_NORM) {
            float r = block_rms<WARPS>(square, a.cols, a.eps, scratch);
#pragma unroll
            for (int i = 0; i < NV; i++) {
                int at = i * THREADS + threadIdx.x;
                if (at * 4 < a.cols) {
                    float4 w = ((const float4*)a.norm)[at];
                    v[i] = make_float4(v[i].x * r * w.x, v[i].y * r * w.y, v[i].z * r * w.z, v[i].w * r * w.w);
                }
            }
        }
        float most = MIN_ABSMAX;
#pragma unroll
        for (int i = 0; i < NV; i++) most = fmaxf(most, absmax4(v[i]));
        most = block_max<WARPS>(most, scratch);
        float s = 127.0f / most;
        int mine_sum = 0;
#pragma unroll
        for (int i = 0; i < NV; i++) {
            int at = i * THREADS + threadIdx.x;
            int four = 0;
            if (at * 4 < a.cols) {
                u32 q = quantize4(v[i], s);
                xs[word_at(0, at * 4)] = q;
                four = __dp4a((int)q, 0x01010101, 0);
            }
            if (GROUP) {  // 16 lanes hold 64 columns
                for (int o = 8; o; o >>= 1) four += __shfl_xor_sync(~0u, four, o);
                if ((lane & 15) == 0 && at * 4 < a.cols) sums[at / 16] = four;
            } else {
                mine_sum += four;
            }
        }
        if (!GROUP) {
            for (int o = 16; o; o >>= 1) mine_sum += __shfl_xor_sync(~0u, mine_sum, o);
            if (lane == 0) atomicAdd(&x_total[0], mine_sum);
        }
        if (threadIdx.x == 0) x_scale[0] = most / 127.0f;
    }
    __syncthreads();

    int acc[KB][4];
    float grouped[4];
    auto clear = [&] {
#pragma unroll
        for (int j = 0; j < KB; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) acc[j][i] = 0;
    };
    auto combined = [&](int i) {
        if (KB == 4) return acc[0][i] + (acc[1][i] >> 2) + (acc[2][i] >> 4) + (acc[3][i] >> 6);
        int s = 0;
#pragma unroll
        for (int j = 0; j < KB; j++) s += acc[j][i];
        return s;
    };
    auto flush = [&](int strip) {
        if (NT == 1 && c != 0) return;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (NT == 1 && (i & 1)) continue;
            int at = (g + (i >> 1) * 8) * NT + (NT == 1 ? 0 : 2 * c + (i & 1));
            if (GROUP) ((float*)red)[(strip * WARPS + warp) * 16 * NT + at] = grouped[i];
            else atomicAdd(&red[strip * 16 * NT + at], combined(i));
        }
    };
    clear();
#pragma unroll
    for (int i = 0; i < 4; i++) grouped[i] = 0;
    int t = warp, strip = 0;
    while (t >= a.tiles) { t -= a.tiles; strip++; }
    for (int f = warp; f < total; f += WARPS * DEPTH) {
#pragma unroll
        for (int s = 0; s < DEPTH; s++) {
            if (f + s * WARPS >= total) break;
            const uint4 w = ring[s];
            float d[PER_TILE][2];
            if (GROUP) {
#pragma unroll
                for (int p = 0; p < PER_TILE; p++) {
                    d[p][0] = h2f((u16)(scale_ring[GROUP ? s : 0][0] >> (16 * p)));
                    d[p][1] = h2f((u16)(scale_ring[GROUP ? s : 0][1] >> (16 * p)));
                }
            }
            if (f + (s + DEPTH) * WARPS < total) load(s, s + DEPTH);
            u32 b[WORDS];
            const u32* from = xs + ((t * NT + (NT == 1 ? 0 : g)) * 4 + c) * WORDS;
            if (KB == 4) {
                uint4 lo = ((const uint4*)from)[0], hi = ((const uint4*)from)[1];
                b[0] = lo.x; b[1] = lo.y; b[2] = lo.z; b[3] = lo.w; b[4] = hi.x; b[5] = hi.y; b[6] = hi.z; b[7] = hi.w;
            } else {
#pragma unroll
                for (int j = 0; j < KB; j++) { uint2 p = ((const uint2*)from)[j]; b[2 * j] = p.x; b[2 * j + 1] = p.y; }
            }
            if (KB == 4) {
#pragma unroll
                for (int j = 0; j < KB; j++)
                    mma_u8s8(acc[j], field(w.x, j), field(w.y, j), field(w.z, j), field(w.w, j), b[2 * j], b[2 * j + 1]);
            } else {
                Base3 a0(w.x), a1(w.y), a2(w.z), a3(w.w);
#pragma unroll
                for (int j = 0; j < KB; j++) {
                    u32 d0 = a0.next(), d1 = a1.next(), d2 = a2.next(), d3 = a3.next();
                    mma_u8s8(acc[j], d0, d1, d2, d3, b[2 * j], b[2 * j + 1]);
                }
            }
            if (GROUP) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int* of = sums + (NT == 1 ? 0 : 2 * c + (i & 1)) * a.tiles * 2 + t * 2;
                    if (GROUP == 128) {
                        grouped[i] = fmaf(d[0][i >> 1], (float)(combined(i) - of[0] - of[1]), grouped[i]);
                    } else {
                        grouped[i] = fmaf(d[0][i >> 1], (float)(acc[0][i] + (acc[1][i] >> 2) - of[0]), grouped[i]);
                        grouped[i] = fmaf(d[PER_TILE - 1][i >> 1], (float)((acc[2][i] >> 4) + (acc[3][i] >> 6) - of[1]), grouped[i]);
                    }
                }
                clear();
            }
            t += WARPS;
            if (t >= a.tiles) {
                flush(strip);
                clear();
#pragma unroll
                for (int i = 0; i < 4; i++) grouped[i] = 0;
                while (t >= a.tiles) { t -= a.tiles; strip++; }
            }
        }
        w_at += DEPTH * WARPS * 32;
        if (GROUP) d_at += DEPTH * WARPS * 16 * PER_TILE;
    }
    __syncthreads();
#if __CUDA_ARCH__ < 900
    for (u64 at = ((u64)blockIdx.x * THREADS + threadIdx.x) * 128; at < a.next_bytes; at += (u64)blocks * THREADS * 128)
        prefetch_l2(a.next + at);
#endif

    auto value = [&](int strip, int row, int n, int out) {
        float dot;
        if (GROUP) {
            dot = 0;
            for (int w = 0; w < WARPS; w++) dot += ((float*)red)[(strip * WARPS + w) * 16 * NT + row * NT + n];
        } else {
            dot = (float)(red[(strip * 16 + row) * NT + n] - x_total[n]);
        }
        return dot * (row_scale(a, out) * x_scale[n]);
    };
    if (EPI == Y_SWIGLU) {
        for (int i = threadIdx.x; i < mine * 8 * a.n; i += THREADS) {
            int n = NT == 1 ? 0 : i / (mine * 8), r = i - n * mine * 8, s = r >> 3;
            int out = (base + s) * 8 + (r & 7);
            if (out >= a.half) continue;
            float gate = value(s, r & 7, n, out), up = value(s, (r & 7) + 8, n, a.half + out);
            a.y[(size_t)n * a.ystride + out] = gate / (1.0f + expf(-gate)) * up;
        }
    } else {
        for (int i = threadIdx.x; i < mine * 16 * a.n; i += THREADS) {
            int n = NT == 1 ? 0 : i / (mine * 16), r = i - n * mine * 16, out = row_of(r >> 4, r & 15);
            if (out < 0) continue;
            float* y = a.y + (size_t)n * a.ystride + out;
            float v = value(r >> 4, r & 15, n, out);
            *y = EPI != Y_ADD ? v : NT == 1 && i < THREADS ? before + v : __ldcg(y) + v;
        }
    }
}

#define GEMV(NAME, KB, NT, PRO, EPI, GROUP, NV, DEPTH)                                          \
    extern "C" __global__ void __launch_bounds__(THREADS, NT == 1 && NV <= 16 ? 2 : 1) NAME(const GemvArgs a) { \
        gemv<KB, NT, PRO, EPI, GROUP, NV, DEPTH>(a);                                             \
    }
// Names: gemv_<packing>_<input>_<output>; n and q take one f32 row of up to NV·1024 columns, i up to 8 int8 rows.
#define ALL(P, KB, GROUP, D)                                          \
    GEMV(gemv_##P##_n4_store, KB, 1, X_NORM, Y_STORE, GROUP, 4, D)         \
    GEMV(gemv_##P##_n8_store, KB, 1, X_NORM, Y_STORE, GROUP, 8, 8)         \
    GEMV(gemv_##P##_n4_swiglu, KB, 1, X_NORM, Y_SWIGLU, GROUP, 4, D)       \
    GEMV(gemv_##P##_n8_swiglu, KB, 1, X_NORM, Y_SWIGLU, GROUP, 8, 8)       \
    GEMV(gemv_##P##_q4_add, KB, 1, X_QUANTIZE, Y_ADD, GROUP, 4, D)         \
    GEMV(gemv_##P##_q16_add, KB, 1, X_QUANTIZE, Y_ADD, GROUP, 16, (GROUP ? 4 : 8))       \
    GEMV(gemv_##P##_q24_add, KB, 1, X_QUANTIZE, Y_ADD, GROUP, 24, 4)       \
    GEMV(gemv_##P##_i1_store, KB, 1, X_INT8, Y_STORE, GROUP, 1, D)         \
    GEMV(gemv_##P##_i1_add, KB, 1, X_INT8, Y_ADD, GROUP, 1, D)             \
    GEMV(gemv_##P##_i1_swiglu, KB, 1, X_INT8, Y_SWIGLU, GROUP, 1, D)       \
    GEMV(gemv_##P##_i8_store, KB, 8, X_INT8, Y_STORE, GROUP, 1, D)         \
    GEMV(gemv_##P##_i8_add, KB, 8, X_INT8, Y_ADD, GROUP, 1, D)             \
    GEMV(gemv_##P##_i8_swiglu, KB, 8, X_INT8, Y_SWIGLU, GROUP, 1, D)
ALL(p2, 4, 0, 8)
ALL(p3, 5, 0, 8)
ALL(g64, 4, 64, 8)
ALL(g128, 4, 128, 8)
