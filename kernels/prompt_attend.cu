// Causal attention of a prompt's rows on tensor cores, keys tile by tile (the softmax is kept running).
//
// out = softmax(q·kᵀ/√hd)·v, row i over positions 0..=start+i; query head h reads KV head h/(heads/kv_heads).
// Source: FlashAttention-2, arXiv:2307.08691; int8 to fp16 as in arXiv:2211.10017, section 4; fragments as in PTX ISA 8.5.
// Errors: fp16 queries, weights and values: 3e-3 of the largest apart from the reference at most, 5e-4 more with int8.
// Shapes as in attend.cu (q and the cache already rotated and appended). q, the weights and fp16 values are fp16 in the
//   products, sums f32; int8 keys and values enter as exact integers, their scales outside: a key's on its scores, a
//   value's on its weights, relative to the tile's largest so that fp16 neither overflows nor vanishes.
// Geometry: block of 8 warps for 128 rows of one head, grid (⌈n/128⌉, heads), latest rows first; a warp has 16 rows. Tiles of
//   KT keys, two in shared memory, rows padded by 16 bytes against bank conflicts.
// Reduction order: tiles in order of position; within one, as the tensor cores sum.
#include "common.cuh"

struct PromptArgs {
    const float* qkv;
    float* out;
    const void* k;
    const void* v;
    const float* k_scale;
    const float* v_scale;
    const Step* step;
    int n, heads, kv_heads, context, qkv_stride, out_stride;
};
AGREED(PromptArgs)

static_assert(ROWS == 16 * (THREADS / 32), "a warp has 16 rows");
#define NEG_INF __int_as_float(0xff800000)

__device__ __forceinline__ float exp2_fast(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }

// Four int8 as fp16: 1024 + (b + 128) has the byte in its lowest bits; what was added is taken off again, exactly.
__device__ __forceinline__ uint2 halves(u32 w) {
    u32 biased = w ^ 0x80808080u, lo = __byte_perm(biased, 0x64646464u, 0x4140), hi = __byte_perm(biased, 0x64646464u, 0x4342);
    asm("sub.f16x2 %0, %0, %1;" : "+r"(lo) : "r"(0x64806480u));
    asm("sub.f16x2 %0, %0, %1;" : "+r"(hi) : "r"(0x64806480u));
    return make_uint2(lo, hi);
}

template <int HD, int KT, bool INT8> __device__ __forceinline__ void prompt_attend(const PromptArgs& a) {
    constexpr int PITCH = HD * 2 + PAD;                    // bytes of a row in shared memory
    constexpr int PIECES = KT * HD * (INT8 ? 1 : 2) / 16;  // 16-byte pieces of a tile of keys in the cache
    constexpr int EACH = (PIECES + THREADS - 1) / THREADS;
    constexpr int PER_ROW = HD * (INT8 ? 1 : 2) / 16;
    extern __shared__ uint4 shared[];
    char* qs = (char*)shared;              // [ROWS][PITCH]
    char* ks = qs + ROWS * PITCH;          // [2][KT][PITCH]
    char* vs = ks + 2 * KT * PITCH;        // [2][KT][PITCH]
    float* scales = (float*)(vs + 2 * KT * PITCH);  // [2][k, v][KT]
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, c = lane & 3;
    const int head = blockIdx.y, kv = head / (a.heads / a.kv_heads);
    const int q0 = (gridDim.x - 1 - blockIdx.x) * ROWS;
    pdl_launch();
    pdl_wait();
    const int start = a.step->start;
    const int keys = start + min(q0 + ROWS, a.n), tiles = (keys + KT - 1) / KT;
    const char* k = (const char*)a.k + (size_t)kv * a.context * HD * (INT8 ? 1 : 2);
    const char* v = (const char*)a.v + (size_t)kv * a.context * HD * (INT8 ? 1 : 2);

    for (int i = threadIdx.x; i < ROWS * HD / 4; i += THREADS) {
        int row = i / (HD / 4), col = i % (HD / 4) * 4;
        float4 x = q0 + row < a.n ? *(const float4*)(a.qkv + (size_t)(q0 + row) * a.qkv_stride + head * HD + col) : make_float4(0, 0, 0, 0);
        *(uint2*)(qs + row * PITCH + col * 2) = make_uint2(f2h2(x.x, x.y), f2h2(x.z, x.w));
    }
    uint4 kr[INT8 ? EACH : 1], vr[INT8 ? EACH : 1];
    float sr = 0;
    auto fetch = [&](int tile) {
        char* kt = ks + (tile & 1) * KT * PITCH;
        char* vt = vs + (tile & 1) * KT * PITCH;
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int i = e * THREADS + threadIdx.x, row = i / PER_ROW, piece = i % PER_ROW;
            bool ok = (PIECES % THREADS == 0 || i < PIECES) && tile * KT + row < keys;
            size_t from = ((size_t)(ok ? tile * KT + row : 0) * PER_ROW + piece) * 16;
            if (INT8) {
                kr[INT8 ? e : 0] = ok ? *(const uint4*)(k + from) : make_uint4(0, 0, 0, 0);
                vr[INT8 ? e : 0] = ok ? *(const uint4*)(v + from) : make_uint4(0, 0, 0, 0);
            } else if (PIECES % THREADS == 0 || i < PIECES) {
                cp16_if(kt + row * PITCH + piece * 16, k + from, ok);
                cp16_if(vt + row * PITCH + piece * 16, v + from, ok);
            }
        }
        if (INT8 && threadIdx.x < 2 * KT) {
            int p = tile * KT + threadIdx.x % KT;
            sr = p >= keys ? 0.0f : threadIdx.x < KT ? a.k_scale[(size_t)kv * a.context + p] : a.v_scale[(size_t)kv * a.context + p];
        }
        cp_commit();
    };
    auto settle = [&](int tile) {  // what was fetched into registers goes to shared memory
        if (!INT8) return;
        char* kt = ks + (tile & 1) * KT * PITCH;
        char* vt = vs + (tile & 1) * KT * PITCH;
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int i = e * THREADS + threadIdx.x, row = i / PER_ROW, piece = i % PER_ROW;
            if (PIECES % THREADS && i >= PIECES) continue;
            uint4 x = kr[INT8 ? e : 0], y = vr[INT8 ? e : 0];
            uint2 x0 = halves(x.x), x1 = halves(x.y), x2 = halves(x.z), x3 = halves(x.w);
            uint2 y0 = halves(y.x), y1 = halves(y.y), y2 = halves(y.z), y3 = halves(y.w);
            uint4* kto = (uint4*)(kt + row * PITCH + piece * 32);
            uint4* vto = (uint4*)(vt + row * PITCH + piece * 32);
            kto[0] = make_uint4(x0.x, x0.y, x1.x, x1.y); kto[1] = make_uint4(x2.x, x2.y, x3.x, x3.y);
            vto[0] = make_uint4(y0.x, y0.y, y1.x, y1.y); vto[1] = make_uint4(y2.x, y2.y, y3.x, y3.y);
        }
        if (threadIdx.x < 2 * KT) scales[(tile & 1) * 2 * KT + threadIdx.x] = sr;
    };
    float o[HD / 8][4], most[2] = {NEG_INF, NEG_INF}, total[2] = {0, 0}, unit = 1;
#pragma unroll
    for (int j = 0; j < HD / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) o[j][i] = 0;
    const float by = 1.4426950408889634f / sqrtf((float)HD);
    const int last0 = start + q0 + warp * 16 + g, last1 = last0 + 8;  // last position that each of the lane's rows sees
    const char* qa = qs + (warp * 16 + (lane & 15)) * PITCH + (lane >> 4) * 16;
    const int key_at = ((lane & 7) + (lane >> 4) * 8) * PITCH + ((lane >> 3) & 1) * 16;
    const int value_at = ((lane & 7) + ((lane >> 3) & 1) * 8) * PITCH + (lane >> 4) * 16;

    fetch(0);
    settle(0);
    cp_wait<0>();
    __syncthreads();
    for (int t = 0; t < tiles; t++) {
        if (t + 1 < tiles) fetch(t + 1);
        const char* kt = ks + (t & 1) * KT * PITCH + key_at;
        const char* vt = vs + (t & 1) * KT * PITCH + value_at;
        const float* sc = scales + (t & 1) * 2 * KT;
        float s[KT / 8][4];
#pragma unroll
        for (int j = 0; j < KT / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) s[j][i] = 0;
#pragma unroll
        for (int d = 0; d < HD / 16; d++) {
            u32 q[4];
            ldmatrix4(q, qa + d * 32);
#pragma unroll
            for (int j = 0; j < KT / 8; j += 2) {
                u32 b[4];
                ldmatrix4(b, kt + j * 8 * PITCH + d * 32);
                mma_f16(s[j], q, b[0], b[1]);
                mma_f16(s[j + 1], q, b[2], b[3]);
            }
        }
        float high[2] = {most[0], most[1]};
        const bool edge = (t + 1) * KT > start + q0 + warp * 16 + 1;  // some row may not see some key
#pragma unroll
        for (int j = 0; j < KT / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float f = s[j][i] * by;
                if (INT8) f *= sc[j * 8 + 2 * c + (i & 1)];
                if (edge && t * KT + j * 8 + 2 * c + (i & 1) > (i < 2 ? last0 : last1)) f = NEG_INF;
                s[j][i] = f;
                high[i >> 1] = fmaxf(high[i >> 1], f);
            }
        float relative = 1, now = 1;
        if (INT8) {
            now = 0;
            for (int i = lane; i < KT; i += 32) now = fmaxf(now, sc[KT + i]);
            now = warp_max(now);
            now = now > 0 ? now : 1.0f;
            relative = 1.0f / now;
        }
        float shrink[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            high[r] = fmaxf(high[r], __shfl_xor_sync(~0u, high[r], 1));
            high[r] = fmaxf(high[r], __shfl_xor_sync(~0u, high[r], 2));
            float keep = high[r] == NEG_INF ? 0.0f : exp2_fast(most[r] - high[r]);
            total[r] *= keep;
            shrink[r] = INT8 ? keep * (unit * relative) : keep;
            most[r] = high[r];
        }
        unit = now;
        u32 p[KT / 8][2];
#pragma unroll
        for (int j = 0; j < KT / 8; j++) {
            float e[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float m = most[i >> 1];
                e[i] = m == NEG_INF ? 0.0f : exp2_fast(s[j][i] - m);
                total[i >> 1] += e[i];
                if (INT8) e[i] *= sc[KT + j * 8 + 2 * c + (i & 1)] * relative;
            }
            p[j][0] = f2h2(e[0], e[1]);
            p[j][1] = f2h2(e[2], e[3]);
        }
#pragma unroll
        for (int j = 0; j < HD / 8; j++) {
            o[j][0] *= shrink[0]; o[j][1] *= shrink[0];
            o[j][2] *= shrink[1]; o[j][3] *= shrink[1];
        }
#pragma unroll
        for (int j = 0; j < KT / 16; j++) {
            u32 w[4] = {p[2 * j][0], p[2 * j][1], p[2 * j + 1][0], p[2 * j + 1][1]};
#pragma unroll
            for (int d = 0; d < HD / 16; d++) {
                u32 b[4];
                ldmatrix4_trans(b, vt + j * 16 * PITCH + d * 32);
                mma_f16(o[2 * d], w, b[0], b[1]);
                mma_f16(o[2 * d + 1], w, b[2], b[3]);
            }
        }
        if (t + 1 < tiles) settle(t + 1);
        cp_wait<0>();
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float l = total[r];
        l += __shfl_xor_sync(~0u, l, 1);
        l += __shfl_xor_sync(~0u, l, 2);
        int row = q0 + warp * 16 + g + 8 * r;
        if (row >= a.n) continue;
        float f = unit / l;
        float* out = a.out + (size_t)row * a.out_stride + head * HD + 2 * c;
#pragma unroll
        for (int j = 0; j < HD / 8; j++) *(float2*)(out + j * 8) = make_float2(o[j][2 * r] * f, o[j][2 * r + 1] * f);
    }
}

#define PROMPT(HD, KT)                                                                                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS) prompt_attend_f16_##HD(const PromptArgs a) { prompt_attend<HD, KT, false>(a); } \
    extern "C" __global__ void __launch_bounds__(THREADS) prompt_attend_i8_##HD(const PromptArgs a) { prompt_attend<HD, KT, true>(a); }
PROMPT(64, TILE)
PROMPT(128, TILE)
PROMPT(256, TILE_256)
