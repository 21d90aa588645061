// Decode attention, split over the context, for grouped query heads; RoPE and the append of the new position fused in.
//
// out = softmax(q·kᵀ / √hd) · v over positions 0..=p; query head h reads KV head h / G.
// Source: attention arXiv:1706.03762, grouped query heads arXiv:2305.13245, RoPE arXiv:2104.09864, the running softmax
//   arXiv:1805.02867; splits of the context as in Flash-Decoding (Dao, Haziza, Massa, Sizov; PyTorch's blog, October 2023).
// Errors: sums are f32 in another order than the reference's: 2e-5 of the largest apart at most, 5e-4 more with int8.
// Shapes: qkv f32 [n, (heads + 2·kv_heads)·hd], out f32 [n, heads·hd]; cache [layer][kv head][position][hd] fp16, or int8
//   with an f32 scale a position: q8 = round_half_even(v·127/max|v|), scale = max|v|/127 (max at least 1e-5).
// Geometry: block (split, KV head × group of 4 query heads, row), 256 threads. Split s owns positions [s·L, s·L + L), L a
//   multiple of 64; splits without positions leave at once. The last block of a (row, head) to finish combines the splits.
// Reduction order: a position's dot over the lanes of its row by butterfly; positions in order within a warp, warps in
//   order, splits in order.
// `attend_fused_*` rotates q and k, appends k and v (its last split does), and attends; one row, position in `step`.
// `attend_*` only attends: rows 0..n at positions start + row.
#include "heads.cuh"

struct AttendArgs {
    const float* qkv;
    float* out;
    void* k;
    void* v;
    float* k_scale;  // [kv head][position] of this layer, int8 only
    float* v_scale;
    const float2* rope;  // [position][pairs] of (cos, sin)
    const float* q_norm; // [hd] each, or null: RMSNorm of every head before RoPE
    const float* k_norm;
    const Step* step;
    float* partial;      // [row][block in y][split][4][hd + 2]
    int* arrived;        // [row][block in y], 0 before and after
    int heads, kv_heads, context, pairs, qkv_stride, out_stride, splits;
    float norm_eps;
};
AGREED(AttendArgs)

#define THREADS (WARPS * 32)
#define NEG_INF __int_as_float(0xff800000)
#define CHUNK 512  // positions whose scores are in shared memory at once

template <int HD, bool INT8, bool FUSED> __device__ __forceinline__ void attend(const AttendArgs& a) {
    constexpr int ROW16 = HD * (INT8 ? 1 : 2) / 16;      // 16-byte pieces of a cache row = lanes that share it
    constexpr int AT_ONCE = 32 / ROW16;                  // positions a warp looks at together
    constexpr int EACH = INT8 ? 16 : 8;                  // elements of a lane
    constexpr int DIMS = HD / 32;                        // dimensions of a lane when values are summed
    constexpr int UNROLL = INT8 && HD < 256 ? 2 : 4;
    __shared__ __align__(16) float q[GROUP_HEADS][HD];
    __shared__ __align__(16) float fresh[2][HD];
    __shared__ __align__(16) float weight[CHUNK][GROUP_HEADS];
    __shared__ __align__(16) float gather[WARPS][GROUP_HEADS][HD];
    __shared__ float most[GROUP_HEADS], total[GROUP_HEADS], shrink[GROUP_HEADS];
    __shared__ int last_one;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, row = blockIdx.z;
    const int group = a.heads / a.kv_heads, parts = (group + GROUP_HEADS - 1) / GROUP_HEADS;
    const int kv = blockIdx.y / parts, first = kv * group + (blockIdx.y - kv * parts) * GROUP_HEADS;
    const int live = min(GROUP_HEADS, (kv + 1) * group - first);  // query heads of this block
    pdl_launch();
    const int position = ((volatile const Step*)a.step)->start + row, len = position + 1;
    const int span = ((len + a.splits - 1) / a.splits + MIN_SPAN - 1) / MIN_SPAN * MIN_SPAN, used = (len + span - 1) / span;
    const int from = blockIdx.x * span, to = min(from + span, len);
    const char* k = (const char*)a.k + (size_t)kv * a.context * HD * (INT8 ? 1 : 2);
    const char* v = (const char*)a.v + (size_t)kv * a.context * HD * (INT8 ? 1 : 2);
    const float* ks = INT8 ? a.k_scale + (size_t)kv * a.context : nullptr;
    const float* vs = INT8 ? a.v_scale + (size_t)kv * a.context : nullptr;
    if (FUSED && (int)blockIdx.x < used) {
        // What earlier steps wrote may be fetched before this step's query is there.
        constexpr int ROW = HD * (INT8 ? 1 : 2);
        for (int at = from * ROW + threadIdx.x * 128; at < to * ROW; at += THREADS * 128) { prefetch_l2(k + at); prefetch_l2(v + at); }
        if (INT8)
            for (int at = from + threadIdx.x * 32; at < to; at += THREADS * 32) { prefetch_l2(ks + at); prefetch_l2(vs + at); }
    }
    pdl_wait();
    if ((int)blockIdx.x >= used) return;

    const float* mine = a.qkv + (size_t)row * a.qkv_stride;
    const float2* rope = FUSED ? a.rope + (size_t)position * a.pairs : nullptr;
    if (warp < live) rotate<HD>(mine + (first + warp) * HD, q[warp], FUSED ? a.q_norm : nullptr, rope, a.pairs, a.norm_eps);
    else if (warp < GROUP_HEADS) for (int d = lane; d < HD; d += 32) q[warp][d] = 0;
    if (FUSED && to == len && (warp == 4 || warp == 5)) {
        const bool key = warp == 4;
        rotate<HD>(mine + (a.heads + (key ? 0 : a.kv_heads) + kv) * HD, fresh[warp - 4], key ? a.k_norm : nullptr, key ? rope : nullptr, a.pairs, a.norm_eps);
        __syncwarp();
        if (key) append<HD, INT8>(fresh[0], a.k, a.k_scale, (size_t)kv * a.context + position);
        else append<HD, INT8>(fresh[1], a.v, a.v_scale, (size_t)kv * a.context + position);
    }
    if (threadIdx.x < GROUP_HEADS) { most[threadIdx.x] = NEG_INF; total[threadIdx.x] = 0; }
    __syncthreads();

    const float scale = 1.0f / sqrtf((float)HD);
    const int piece = lane % ROW16, sub = lane / ROW16;
    float qr[GROUP_HEADS][EACH];
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
        for (int e = 0; e < EACH; e++) qr[h][e] = q[h][piece * EACH + e];
    float sum[GROUP_HEADS][DIMS];
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
        for (int d = 0; d < DIMS; d++) sum[h][d] = 0;

    for (int base = from; base < to; base += CHUNK) {
        const int end = min(base + CHUNK, to);
        // Scores.
        for (int p0 = base + warp * AT_ONCE * UNROLL; p0 < end; p0 += WARPS * AT_ONCE * UNROLL) {
            uint4 w[UNROLL];
#pragma unroll
            for (int u = 0; u < UNROLL; u++) {
                int p = min(p0 + u * AT_ONCE + sub, end - 1);
                w[u] = *(const uint4*)(k + ((size_t)p * ROW16 + piece) * 16);
            }
#pragma unroll
            for (int u = 0; u < UNROLL; u++) {
                float dot[GROUP_HEADS] = {0, 0, 0, 0};
                const u32 words[4] = {w[u].x, w[u].y, w[u].z, w[u].w};
#pragma unroll
                for (int i = 0; i < EACH; i++) {
                    float e = element<INT8>(words[i / (EACH / 4)], i % (EACH / 4));
#pragma unroll
                    for (int h = 0; h < GROUP_HEADS; h++) dot[h] = fmaf(qr[h][i], e, dot[h]);
                }
#pragma unroll
                for (int h = 0; h < GROUP_HEADS; h++)
                    for (int o = ROW16 / 2; o; o >>= 1) dot[h] += __shfl_xor_sync(~0u, dot[h], o);
                int p = p0 + u * AT_ONCE + sub;
                if (piece == 0 && p < end) {
                    float by = INT8 ? scale * ks[p] : scale;
                    *(float4*)weight[p - base] = make_float4(dot[0] * by, dot[1] * by, dot[2] * by, dot[3] * by);
                }
            }
        }
        __syncthreads();
        // Their weights, relative to the highest so far.
        if (warp < GROUP_HEADS) {
            float m = most[warp];
            for (int p = lane; p < end - base; p += 32) m = fmaxf(m, weight[p][warp]);
            m = warp_max(m);
            float l = 0;
            for (int p = lane; p < end - base; p += 32) {
                float e = expf(weight[p][warp] - m);
                l += e;
                weight[p][warp] = INT8 ? e * vs[base + p] : e;
            }
            l = warp_sum(l);
            if (lane == 0) {
                float by = expf(most[warp] - m);
                shrink[warp] = by;
                most[warp] = m;
                total[warp] = total[warp] * by + l;
            }
        }
        __syncthreads();
#pragma unroll
        for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
            for (int d = 0; d < DIMS; d++) sum[h][d] *= shrink[h];
        // Values.
        constexpr int DEEP = INT8 && HD < 256 ? 4 : 8;
        for (int p0 = base + warp * DEEP; p0 < end; p0 += WARPS * DEEP) {
            u32 w[DEEP][(DIMS * (INT8 ? 1 : 2) + 3) / 4];
#pragma unroll
            for (int u = 0; u < DEEP; u++) {
                size_t at = (size_t)min(p0 + u, end - 1) * HD + lane * DIMS;
                if (INT8 && DIMS == 2) w[u][0] = *(const u16*)(v + at);
                else if (INT8) {
#pragma unroll
                    for (int i = 0; i < DIMS / 4; i++) w[u][i] = ((const u32*)(v + at))[i];
                } else {
#pragma unroll
                    for (int i = 0; i < DIMS / 2; i++) w[u][i] = ((const u32*)((const u16*)v + at))[i];
                }
            }
#pragma unroll
            for (int u = 0; u < DEEP; u++) {
                if (p0 + u >= end) break;
                float4 by = *(const float4*)weight[p0 + u - base];
#pragma unroll
                for (int d = 0; d < DIMS; d++) {
                    float x = INT8 ? (float)(i8)(w[u][d / 4] >> (8 * (d % 4)) & 0xff) : h2f((u16)(w[u][d / 2] >> (16 * (d % 2)) & 0xffff));
                    sum[0][d] = fmaf(by.x, x, sum[0][d]);
                    sum[1][d] = fmaf(by.y, x, sum[1][d]);
                    sum[2][d] = fmaf(by.z, x, sum[2][d]);
                    sum[3][d] = fmaf(by.w, x, sum[3][d]);
                }
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
        for (int d = 0; d < DIMS; d++) gather[warp][h][lane * DIMS + d] = sum[h][d];
    __syncthreads();

    float* out = a.out + (size_t)row * a.out_stride + first * HD;
    const size_t slot = (size_t)row * gridDim.y + blockIdx.y;
    float* partial = a.partial + slot * a.splits * GROUP_HEADS * (HD + 2);
    for (int i = threadIdx.x; i < GROUP_HEADS * HD; i += THREADS) {
        int h = i / HD, d = i - h * HD;
        float s = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++) s += gather[w][h][d];
        if (used == 1) { if (h < live) out[i] = s / total[h]; }
        else partial[(blockIdx.x * GROUP_HEADS + h) * (HD + 2) + d] = s;
    }
    if (used == 1) return;
    if (threadIdx.x < GROUP_HEADS) {
        partial[(blockIdx.x * GROUP_HEADS + threadIdx.x) * (HD + 2) + HD] = most[threadIdx.x];
        partial[(blockIdx.x * GROUP_HEADS + threadIdx.x) * (HD + 2) + HD + 1] = total[threadIdx.x];
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last_one = atomicAdd(a.arrived + slot, 1) == used - 1;
    __syncthreads();
    if (!last_one) return;
    __threadfence();
    for (int i = threadIdx.x; i < live * HD; i += THREADS) {
        int h = i / HD, d = i - h * HD;
        float m = NEG_INF, s = 0, l = 0;
#pragma unroll 8
        for (int p = 0; p < used; p++) m = fmaxf(m, __ldcg(&partial[(p * GROUP_HEADS + h) * (HD + 2) + HD]));
#pragma unroll 8
        for (int p = 0; p < used; p++) {
            const float* of = partial + (p * GROUP_HEADS + h) * (HD + 2);
            float by = expf(__ldcg(of + HD) - m);
            s = fmaf(by, __ldcg(of + d), s);
            l = fmaf(by, __ldcg(of + HD + 1), l);
        }
        out[i] = s / l;
    }
    if (threadIdx.x == 0) a.arrived[slot] = 0;
}

#define ATTEND(HD)                                                                                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS, HD < 256 ? 2 : 1) attend_fused_f16_##HD(const AttendArgs a) { attend<HD, false, true>(a); }      \
    extern "C" __global__ void __launch_bounds__(THREADS, HD < 256 ? 2 : 1) attend_fused_i8_##HD(const AttendArgs a) { attend<HD, true, true>(a); }        \
    extern "C" __global__ void __launch_bounds__(THREADS, HD < 256 ? 2 : 1) attend_f16_##HD(const AttendArgs a) { attend<HD, false, false>(a); }           \
    extern "C" __global__ void __launch_bounds__(THREADS, HD < 256 ? 2 : 1) attend_i8_##HD(const AttendArgs a) { attend<HD, true, false>(a); }
ATTEND(64)
ATTEND(128)
ATTEND(256)

// RoPE and append for n rows: one warp a head. Block (ceil(heads of q, k and v / 8), n).
template <int HD, bool INT8> __device__ __forceinline__ void rope_append(const AttendArgs& a) {
    __shared__ __align__(16) float head[WARPS][HD];
    const int warp = threadIdx.x >> 5, row = blockIdx.y, h = blockIdx.x * WARPS + warp, lane = threadIdx.x & 31;
    pdl_launch();
    pdl_wait();
    if (h >= a.heads + 2 * a.kv_heads) return;
    const int position = a.step->start + row;
    float* x = (float*)a.qkv + (size_t)row * a.qkv_stride + h * HD;
    const bool query = h < a.heads, key = !query && h < a.heads + a.kv_heads;
    rotate<HD>(x, head[warp], query ? a.q_norm : key ? a.k_norm : nullptr, query || key ? a.rope + (size_t)position * a.pairs : nullptr, a.pairs, a.norm_eps);
    __syncwarp();
    if (query || key) for (int d = lane; d < HD; d += 32) x[d] = head[warp][d];
    if (query) return;
    const int kv = (h - a.heads) % a.kv_heads;
    if (key) append<HD, INT8>(head[warp], a.k, a.k_scale, (size_t)kv * a.context + position);
    else append<HD, INT8>(head[warp], a.v, a.v_scale, (size_t)kv * a.context + position);
}

#define ROPE(HD)                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS) rope_append_f16_##HD(const AttendArgs a) { rope_append<HD, false>(a); } \
    extern "C" __global__ void __launch_bounds__(THREADS) rope_append_i8_##HD(const AttendArgs a) { rope_append<HD, true>(a); }
ROPE(64)
ROPE(128)
ROPE(256)
