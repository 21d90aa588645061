// Ternary GEMM on int8 tensor cores, for prompts.
//
// y[i] = (Σ code·q − Σ q)·(row scale · x scale), grouped as in gemv.cu; y f32 [n, ystride]; stored, added, or SwiGLU'd.
// Source: as gemv.cu; fragments as PTX ISA 8.5 lays them out for ldmatrix and mma.m16n8k32.
// Errors: as gemv.cu.
// Shapes: W packed [rows, cols] (tiles of common.cuh), x int8 [n, xstride] (columns from cols to the last tile's are 0).
// Geometry: block of 256 threads for 8 strips (128 rows) × NT activations; grid (⌈strips/8⌉, ⌈n/NT⌉). Warp (m, c) of 4 × 2 takes
//   2 strips and NT/2 activations. Weights go from global memory straight into registers, in fragment order, and are
//   decoded there; activations pass through STAGES tiles of shared memory, rows padded by 16 bytes against bank conflicts.
// Reduction order: integer sums are exact; group sums in tile order.
#include "common.cuh"

struct GemmArgs {
    const uint4* w;
    const u16* group_scale;
    const i8* x;
    const float* xscale;
    const int* xsums;
    float* y;
    int rows, cols, tiles, strips;
    int n, xstride, sums_stride, ystride;
    int half, end0, end1;
    float scale0, scale1, scale2;
};
AGREED(GemmArgs)

enum { Y_STORE, Y_ADD, Y_SWIGLU };

template <int KB, int NT, int EPI, int GROUP> __device__ __forceinline__ void gemm(const GemmArgs& a) {
    constexpr int TILE = 32 * KB, PITCH = TILE + PAD, PIECES = TILE / 16;
    constexpr int NJ = NT / 16;  // runs of 8 activations of a warp
    constexpr int PER_TILE = GROUP ? 128 / GROUP : 1;
    extern __shared__ uint4 shared[];
    i8* xs = (i8*)shared;  // [STAGES][NT][PITCH]
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, c = lane & 3;
    const int first = blockIdx.x * STRIPS + (warp & 3) * 2, n0 = blockIdx.y * NT, mine = (warp >> 2) * (NT / 2);
    pdl_launch();
    const uint4* w0 = a.w + (size_t)min(first, a.strips - 1) * a.tiles * 32 + lane;
    const uint4* w1 = a.w + (size_t)min(first + 1, a.strips - 1) * a.tiles * 32 + lane;
    uint4 ahead0 = __ldg(w0), ahead1 = __ldg(w1);
    pdl_wait();
    auto load = [&](int tile) {
        if (tile < a.tiles) {
            i8* to = xs + (tile % STAGES) * NT * PITCH;
            for (int i = threadIdx.x; i < NT * PIECES; i += THREADS) {
                int row = i / PIECES, piece = i - row * PIECES;
                bool ok = n0 + row < a.n;
                cp16_if(to + row * PITCH + piece * 16, a.x + (size_t)(ok ? n0 + row : 0) * a.xstride + tile * TILE + piece * 16, ok);
            }
        }
        cp_commit();
    };
    int acc[2][NJ][4];
    float grouped[GROUP ? 2 : 1][GROUP ? NJ : 1][4];
#pragma unroll
    for (int s = 0; s < 2; s++)
#pragma unroll
        for (int j = 0; j < NJ; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) { acc[s][j][i] = 0; if (GROUP) grouped[GROUP ? s : 0][GROUP ? j : 0][i] = 0; }
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) load(s);
    // Lane l gives ldmatrix the address of row l%8 of matrix l/8: two runs of 8 activations, two halves of 32 columns.
    const int of_row = (lane & 7) + (lane >> 4) * 8, of_col = ((lane >> 3) & 1) * 16;
    for (int t = 0; t < a.tiles; t++) {
        cp_wait<STAGES - 2>();
        __syncthreads();
        load(t + STAGES - 1);
        const i8* x = xs + (t % STAGES) * NT * PITCH + (mine + of_row) * PITCH + of_col;
        const uint4 v0 = ahead0, v1 = ahead1;
        if (t + 1 < a.tiles) { ahead0 = __ldg(w0 + (t + 1) * 32); ahead1 = __ldg(w1 + (t + 1) * 32); }
        Base3 d[2][4] = {{Base3(v0.x), Base3(v0.y), Base3(v0.z), Base3(v0.w)}, {Base3(v1.x), Base3(v1.y), Base3(v1.z), Base3(v1.w)}};
#pragma unroll
        for (int k = 0; k < KB; k++) {
            u32 a0[4], a1[4];
            if (KB == 4) {
                a0[0] = v0.x >> (2 * k) & 0x03030303u; a0[1] = v0.y >> (2 * k) & 0x03030303u;
                a0[2] = v0.z >> (2 * k) & 0x03030303u; a0[3] = v0.w >> (2 * k) & 0x03030303u;
                a1[0] = v1.x >> (2 * k) & 0x03030303u; a1[1] = v1.y >> (2 * k) & 0x03030303u;
                a1[2] = v1.z >> (2 * k) & 0x03030303u; a1[3] = v1.w >> (2 * k) & 0x03030303u;
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) { a0[i] = d[0][i].next(); a1[i] = d[1][i].next(); }
            }
#pragma unroll
            for (int j = 0; j < NJ; j += 2) {
                u32 b[4];
                ldmatrix4(b, x + j * 8 * PITCH + k * 32);
                mma_u8s8(acc[0][j], a0[0], a0[1], a0[2], a0[3], b[0], b[1]);
                mma_u8s8(acc[1][j], a1[0], a1[1], a1[2], a1[3], b[0], b[1]);
                mma_u8s8(acc[0][j + 1], a0[0], a0[1], a0[2], a0[3], b[2], b[3]);
                mma_u8s8(acc[1][j + 1], a1[0], a1[1], a1[2], a1[3], b[2], b[3]);
            }
            if (GROUP && (k == 3 || (GROUP == 64 && k == 1))) {
                const int part = GROUP == 64 ? k / 2 : 0;
#pragma unroll
                for (int s = 0; s < 2; s++) {
                    const u16* at = a.group_scale + ((size_t)min(first + s, a.strips - 1) * a.tiles + t) * 16 * PER_TILE + part;
                    float up = h2f(__ldg(at + g * PER_TILE)), down = h2f(__ldg(at + (g + 8) * PER_TILE));
#pragma unroll
                    for (int j = 0; j < NJ; j++)
#pragma unroll
                        for (int i = 0; i < 4; i++) {
                            int n = min(n0 + mine + j * 8 + 2 * c + (i & 1), a.n - 1);
                            const int* sums = a.xsums + (size_t)n * a.sums_stride + 1 + t * 2;
                            int sum = GROUP == 64 ? __ldcg(sums + part) : __ldcg(sums) + __ldcg(sums + 1);
                            float& to = grouped[GROUP ? s : 0][GROUP ? j : 0][i];
                            to = fmaf(i < 2 ? up : down, (float)(acc[s][j][i] - sum), to);
                            acc[s][j][i] = 0;
                        }
                }
            }
        }
    }
    cp_wait<0>();
#pragma unroll
    for (int j = 0; j < NJ; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const int n = n0 + mine + j * 8 + 2 * c + e;
            if (n >= a.n) continue;
            const float by = __ldcg(a.xscale + n);
            const int sum = GROUP ? 0 : __ldcg(a.xsums + (size_t)n * a.sums_stride);
            float* y = a.y + (size_t)n * a.ystride;
#pragma unroll
            for (int s = 0; s < 2; s++) {
                const int strip = first + s;
                if (strip >= a.strips) continue;
                auto value = [&](int i, int out) {
                    float dot = GROUP ? grouped[GROUP ? s : 0][GROUP ? j : 0][i] : (float)(acc[s][j][i] - sum);
                    return dot * ((out < a.end0 ? a.scale0 : out < a.end1 ? a.scale1 : a.scale2) * by);
                };
                const int up = a.half ? strip * 8 + g : strip * 16 + g, down = a.half ? a.half + strip * 8 + g : up + 8;
                const bool has_up = up < (a.half ? a.half : a.rows), has_down = a.half ? has_up : down < a.rows;
                float first_row = value(e, up), second = value(e + 2, down);
                if (EPI == Y_SWIGLU) {
                    if (has_up) y[up] = first_row / (1.0f + expf(-first_row)) * second;
                } else {
                    if (has_up) y[up] = EPI == Y_ADD ? y[up] + first_row : first_row;
                    if (has_down) y[down] = EPI == Y_ADD ? y[down] + second : second;
                }
            }
        }
}

#define GEMM(NAME, KB, NT, EPI, GROUP) \
    extern "C" __global__ void __launch_bounds__(THREADS) NAME(const GemmArgs a) { gemm<KB, NT, EPI, GROUP>(a); }
#define ALL(P, KB, NT, GROUP)                           \
    GEMM(gemm_##P##_##NT##_store, KB, NT, Y_STORE, GROUP)   \
    GEMM(gemm_##P##_##NT##_add, KB, NT, Y_ADD, GROUP)       \
    GEMM(gemm_##P##_##NT##_swiglu, KB, NT, Y_SWIGLU, GROUP)
ALL(p2, 4, 32, 0)
ALL(p2, 4, 64, 0)
ALL(p2, 4, 128, 0)
ALL(p3, 5, 32, 0)
ALL(p3, 5, 64, 0)
ALL(p3, 5, 128, 0)
ALL(g64, 4, 32, 64)
ALL(g64, 4, 64, 64)
ALL(g128, 4, 32, 128)
ALL(g128, 4, 64, 128)
