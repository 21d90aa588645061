// What the attention kernels share: elements of the cache, RMSNorm and RoPE of a head, the append of a head.
// Source: RMSNorm arXiv:1910.07467; RoPE arXiv:2104.09864, of adjacent pairs: (a, b) becomes (a·cos − b·sin, a·sin + b·cos).
#pragma once
#include "common.cuh"

// Element `i` of a 4-byte word of the cache.
template <bool INT8> __device__ __forceinline__ float element(u32 word, int i) {
    return INT8 ? (float)(i8)(word >> (8 * i) & 0xff) : h2f((u16)(word >> (16 * i) & 0xffff));
}

// RMSNorm (where there is a weight) and RoPE of one head of HD floats, by one warp; result in `to` (shared), scaled.
// `load` reads a pair.
struct FromL2 {
    __device__ __forceinline__ float2 operator()(const float2* p) const { return __ldcg(p); }
};
template <int HD, class Load = FromL2>
__device__ __forceinline__ void rotate(const float* from, float* to, const float* weight, const float2* rope, int pairs, float eps, Load load = {}) {
    const int lane = threadIdx.x & 31;
    constexpr int EACH = (HD + 63) / 64;  // pairs of a lane
    float2 v[EACH];
    double square = 0;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int p = i * 32 + lane;
        v[i] = p < HD / 2 ? load((const float2*)from + p) : make_float2(0, 0);
        square = fma((double)v[i].x, (double)v[i].x, square);
        square = fma((double)v[i].y, (double)v[i].y, square);
    }
    float r = 1;
    if (weight) {
        square = warp_sum(square);
        double m = square / HD + (double)eps, y = (double)rsqrtf((float)m);
        y = y * (1.5 - 0.5 * m * y * y);
        r = (float)(y * (1.5 - 0.5 * m * y * y));
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int p = i * 32 + lane;
        if (p >= HD / 2) continue;
        float2 x = v[i];
        if (weight) x = make_float2(x.x * r * weight[2 * p], x.y * r * weight[2 * p + 1]);
        if (rope && p < pairs) {
            float2 cs = rope[p];
            x = make_float2(x.x * cs.x - x.y * cs.y, x.x * cs.y + x.y * cs.x);
        }
        ((float2*)to)[p] = x;
    }
}

template <int HD, bool INT8> __device__ __forceinline__ void append(const float* head, void* cache, float* scale, size_t at) {
    const int lane = threadIdx.x & 31;
    if (INT8) {
        float most = MIN_ABSMAX;
        for (int d = lane; d < HD; d += 32) most = fmaxf(most, fabsf(head[d]));
        most = warp_max(most);
        float s = 127.0f / most;
        for (int d = lane; d < HD; d += 32) ((i8*)cache)[at * HD + d] = (i8)__float2int_rn(head[d] * s);
        if (lane == 0) scale[at] = most / 127.0f;
    } else {
        for (int d = lane; d < HD; d += 32) ((u16*)cache)[at * HD + d] = f2h(head[d]);
    }
}
