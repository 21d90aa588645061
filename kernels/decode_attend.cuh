// Attention of decode.cu: one position over a block's span of the context, on fp16 tensor cores.
#pragma once
#include "decode.cuh"

#define WEIGHT_UNIT 256.0f        // of attention's weights in fp16: what matters of them is far above its smallest number
#define NEG_INF __int_as_float(0xff800000)

// d += A · B of fp16.
__device__ __forceinline__ void mma(float (&d)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    const u32 a[4] = {a0, a1, a2, a3};
    mma_f16(d, a, b0, b1);
}
// Bytes 0 and 2 of a word of int8 to fp16: 1024 + 128 + value by its bits, then less 1152, which is exact.
__device__ __forceinline__ u32 even_halves(u32 w) {
    u32 r = (w & 0x00ff00ffu) ^ 0x64806480u;
    asm("sub.rn.f16x2 %0, %0, %1;" : "+r"(r) : "r"(0x64806480u));
    return r;
}
// Two floats as fp16: the nearest, or what that leaves.
__device__ __forceinline__ u32 halves(float x, float y, bool rest) {
    const u32 high = f2h2(x, y);
    return rest ? f2h2(x - h2f((u16)high), y - h2f((u16)(high >> 16))) : high;
}

// Attention of this block's span; the first split of a KV head combines them all.
template <int HD, bool INT8> __device__ __forceinline__ void attend(const DecodeArgs& a, int layer, const u8* rings, u8* area, u8* scratch, State& s, Ring& ring) {
    constexpr int BYTES = HD * (INT8 ? 1 : 2);     // of a cache row
    constexpr int STEPS = HD / 16;                 // products of 16 dimensions
    constexpr int TILES = HD / 16;                 // of 16 dimensions, of values
    constexpr int PITCH = 2 * STEPS + 4;           // words of a lane's queries
    static_assert(CHUNK * BYTES <= SLOT_BYTES, "a chunk has a slot");
    constexpr int OWN = HD / 8;                    // dimensions of values that a lane has
    const int tid = thread(), warp = tid >> 5, lane = tid & 31, g = lane >> 2, c = lane & 3;
    float(*flat)[HD] = (float(*)[HD])area;                                // queries, key and value as floats
    float(*gather)[GROUP_HEADS * HD] = (float(*)[GROUP_HEADS * HD])area;  // [8], when those have been used
    u32* queries = (u32*)scratch;                                         // [32][PITCH]
    u8* stored = scratch + 32 * PITCH * 4;                                // [2][BYTES], as in the cache
    float* weights = (float*)(stored + 2 * BYTES) + warp * CHUNK * GROUP_HEADS;
    static_assert(32 * PITCH * 4 + 2 * BYTES + WARPS * CHUNK * GROUP_HEADS * 4 <= SCRATCH_BYTES, "fits");
    static_assert(8 * GROUP_HEADS * HD * 4 <= AREA_BYTES && GROUP_HEADS * HD <= THREADS, "fits, a thread an output");
    const Span& sp = s.span;
    const int turn = turn_of(a, layer);
    const int group = a.heads / a.kv_heads, first = sp.kv * group;
    const size_t head = (size_t)(layer * a.kv_heads + sp.kv) * a.context;
    const int chunks = (sp.cached + CHUNK - 1) / CHUNK, all = chunks + sp.fresh, busy = min(WARPS, all);
    float k_scale[2], v_scale[2];  // of positions g and g+8
    auto scales = [&](int chunk) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (!INT8) { k_scale[i] = v_scale[i] = 1; continue; }
            const size_t at = head + sp.from + min(chunk * CHUNK + g + 8 * i, sp.cached - 1);
            if (chunk < chunks) { k_scale[i] = __ldcg(a.k_scale + at); v_scale[i] = __ldcg(a.v_scale + at); }
        }
    };
    scales(warp);

    const float* norms = a.head_norms ? a.head_norms + (size_t)layer * 2 * HD : nullptr;
    const int extra = warp - GROUP_HEADS;  // 0: the key, 1: the value
    const bool query = warp < group, fresh = sp.fresh && (extra == 0 || extra == 1);
    if (query || fresh) {
        const int from = query ? first + warp : a.heads + extra * a.kv_heads + sp.kv;
        rotate<HD>(a.qkv[turn] + from * HD, flat[warp], extra == 1 || !norms ? nullptr : query ? norms : norms + HD, extra == 1 ? nullptr : s.rope, a.pairs, a.head_eps, Taken{});
        __syncwarp();
    }
    if (warp < GROUP_HEADS) {
        float most = 0;
        if (query) {
            for (int p = lane; p < HD / 2; p += 32) {
                const float2 v = ((const float2*)flat[warp])[p];
                most = fmaxf(most, fmaxf(fabsf(v.x), fabsf(v.y)));
            }
            most = max_of(most);
        }
        // A power of two that brings the largest near 1,000.
        const u32 exponent = min(max(__float_as_uint(most) >> 23, 16u), 254u);
        const float up = __uint_as_float((263 - exponent) << 23);
        if (lane == 0) s.q_unit[warp] = __uint_as_float((exponent - 9) << 23) * (1.0f / sqrtf((float)HD));
        for (int p = lane; p < HD / 2; p += 32) {
            float2 v = query ? ((const float2*)flat[warp])[p] : make_float2(0, 0);
            v = make_float2(v.x * up, v.y * up);
            // Dimensions 2p, 2p+1 belong to lane `of` of a row of keys, and there to word `in`.
            const int d = 2 * p, piece = d * (INT8 ? 1 : 2) / 16, of = piece & 3;
            const int in = (piece >> 2) * (INT8 ? 8 : 4) + (INT8 ? d % 16 / 4 * 2 : d % 8 / 2);
#pragma unroll
            for (int rest = 0; rest < 2; rest++) {
                u32* to = queries + ((warp + 4 * rest) * 4 + of) * PITCH + in;
                const u32 two = halves(v.x, v.y, rest);
                if (INT8) {
                    ((u16*)to)[d >> 1 & 1] = (u16)two;
                    ((u16*)(to + 1))[d >> 1 & 1] = (u16)(two >> 16);
                } else {
                    *to = two;
                }
            }
        }
    } else if (fresh) {
        append<HD, INT8>(flat[warp], stored + extra * BYTES, &s.fresh_scale[extra], 0);
        __syncwarp();
        const size_t at = head + a.position;
        if (lane < BYTES / 16) ((uint4*)((extra ? a.v : a.k) + at * BYTES))[lane] = ((const uint4*)(stored + extra * BYTES))[lane];
        if (INT8 && lane == 0) (extra ? a.v_scale : a.k_scale)[at] = s.fresh_scale[extra];
    }
    __syncthreads();

    const int h0 = 2 * (c & 1);  // this lane's two heads in products; c/2 says whether high or low
    float sum[TILES][4], peak[2] = {NEG_INF, NEG_INF}, mass[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = 0;
    if (warp < busy) {
        const uint2* q = (const uint2*)(queries + lane * PITCH);
        const float unit[2] = {s.q_unit[h0], s.q_unit[h0 + 1]};
#pragma unroll 1
        for (int chunk = warp; chunk < all; chunk += WARPS) {
            const bool cached = chunk < chunks;
            const int rows = cached ? min(CHUNK, sp.cached - chunk * CHUNK) : 1;
            if (INT8 && !cached) {
                k_scale[0] = k_scale[1] = s.fresh_scale[0];
                v_scale[0] = v_scale[1] = s.fresh_scale[1];
            }
            // Rows behind the last are the last.
            auto row = [&](int r, int which) -> const u8* {
                r = min(r, rows - 1);
                if (!cached) return stored + which * BYTES;
                return rings + warp * RING_BYTES + ring.slot * SLOT_BYTES + r * BYTES;
            };
            if (cached) ring.wait();
            const u8 *low = row(g, 0) + c * 16, *high = row(g + 8, 0) + c * 16;
            float dot[2][4] = {};
#pragma unroll
            for (int j = 0; j < BYTES / 64; j++) {
                const uint4 l = *(const uint4*)(low + j * 64), h = *(const uint4*)(high + j * 64);
                const u32 lw[4] = {l.x, l.y, l.z, l.w}, hw[4] = {h.x, h.y, h.z, h.w};
                if (INT8) {
#pragma unroll
                    for (int w = 0; w < 4; w++) {
                        const uint2 b = q[j * 4 + w];
                        mma(dot[w & 1], even_halves(lw[w]), even_halves(hw[w]), even_halves(lw[w] >> 8), even_halves(hw[w] >> 8), b.x, b.y);
                    }
                } else {
#pragma unroll
                    for (int w = 0; w < 2; w++) {
                        const uint2 b = q[j * 2 + w];
                        mma(dot[w & 1], lw[2 * w], hw[2 * w], lw[2 * w + 1], hw[2 * w + 1], b.x, b.y);
                    }
                }
            }
            if (cached) ring.used();
            float e[2][2];  // positions g and g+8, two heads
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    float v = dot[0][2 * i + j] + dot[1][2 * i + j];
                    v += __shfl_xor_sync(~0u, v, 2);
                    e[i][j] = g + 8 * i < rows ? v * (unit[j] * k_scale[i]) : NEG_INF;
                }
            float shrink[2];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float most = fmaxf(e[0][j], e[1][j]);
#pragma unroll
                for (int o = 4; o < 32; o *= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, o));
                most = fmaxf(most, peak[j]);
                shrink[j] = expf(peak[j] - most);
                peak[j] = most;
                e[0][j] = expf(e[0][j] - most);
                e[1][j] = expf(e[1][j] - most);
                mass[j] = fmaf(mass[j], shrink[j], e[0][j] + e[1][j]);
            }
            if (c < 2) {
#pragma unroll
                for (int i = 0; i < 2; i++)
                    ((float2*)weights)[(g + 8 * i) * 2 + c] = make_float2(e[i][0] * v_scale[i] * WEIGHT_UNIT, e[i][1] * v_scale[i] * WEIGHT_UNIT);
            }
            if (chunk + WARPS < chunks) scales(chunk + WARPS);
#pragma unroll
            for (int i = 0; i < TILES; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] *= shrink[j & 1];
            __syncwarp();
            const float* of = weights + (g & 3);
            // Columns 4 to 7 are columns 0 to 3 again: so lanes c and c^2 have the same sums.
            u32 b[2][2];
#pragma unroll
            for (int rest = 0; rest < 2; rest++)
#pragma unroll
                for (int i = 0; i < 2; i++) b[rest][i] = halves(of[(2 * c + 8 * i) * GROUP_HEADS], of[(2 * c + 1 + 8 * i) * GROUP_HEADS], rest);
            auto both = [&](float (&to)[4], u32 a0, u32 a1, u32 a2, u32 a3) {
                mma(to, a0, a1, a2, a3, b[0][0], b[0][1]);
                mma(to, a0, a1, a2, a3, b[1][0], b[1][1]);
            };
            if (cached) ring.wait();
            const u8* at[4];
#pragma unroll
            for (int r = 0; r < 4; r++) at[r] = row(2 * c + (r & 1) + (r >> 1) * 8, 1) + g * (BYTES / 8);
            constexpr int WORDS = BYTES / 8 < 16 ? 2 : 4;  // of a piece
#pragma unroll
            for (int piece = 0; piece < BYTES / 8 / (4 * WORDS); piece++) {
                u32 w[4][4];
#pragma unroll
                for (int r = 0; r < 4; r++) {
                    if (WORDS == 4) { const uint4 v = ((const uint4*)at[r])[piece]; w[r][0] = v.x; w[r][1] = v.y; w[r][2] = v.z; w[r][3] = v.w; }
                    else { const uint2 v = ((const uint2*)at[r])[piece]; w[r][0] = v.x; w[r][1] = v.y; }
                }
#pragma unroll
                for (int i = 0; i < WORDS; i++) {
                    if (INT8) {
#pragma unroll
                        for (int two = 0; two < 2; two++) {
                            const u32 x = __byte_perm(w[0][i], w[1][i], two ? 0x7632 : 0x5410), y = __byte_perm(w[2][i], w[3][i], two ? 0x7632 : 0x5410);
                            both(sum[i * 2 + two], even_halves(x), even_halves(x >> 8), even_halves(y), even_halves(y >> 8));
                        }
                    } else {
                        both(sum[piece * 4 + i], __byte_perm(w[0][i], w[1][i], 0x5410), __byte_perm(w[0][i], w[1][i], 0x7632),
                            __byte_perm(w[2][i], w[3][i], 0x5410), __byte_perm(w[2][i], w[3][i], 0x7632));
                    }
                }
            }
            if (cached) ring.used();
        }
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int o = 4; o < 32; o *= 2) mass[j] += __shfl_xor_sync(~0u, mass[j], o);
    }

    // Lanes c and c^2 have the same: each takes every second tile.
    auto leave = [&](int w) {
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            if ((i & 1) != c >> 1) continue;
#pragma unroll
            for (int j = 0; j < 2; j++) ((float2*)&gather[w][(h0 + j) * HD + g * OWN])[i] = make_float2(sum[i][j], sum[i][2 + j]);
        }
        if (g == 0 && c < 2) {
#pragma unroll
            for (int j = 0; j < 2; j++) { s.peak[w][h0 + j] = peak[j]; s.mass[w][h0 + j] = mass[j]; }
        }
    };
    if (busy > 8) {
        if (warp >= 8 && warp < busy) leave(warp - 8);
        __syncthreads();
        if (warp + 8 < busy) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const float most = fmaxf(peak[j], s.peak[warp][h0 + j]), own = expf(peak[j] - most), other = expf(s.peak[warp][h0 + j] - most);
                peak[j] = most;
                mass[j] = fmaf(mass[j], own, s.mass[warp][h0 + j] * other);
#pragma unroll
                for (int i = 0; i < TILES; i++) {
                    const float2 v = ((const float2*)&gather[warp][(h0 + j) * HD + g * OWN])[i];
                    sum[i][j] = fmaf(sum[i][j], own, v.x * other);
                    sum[i][2 + j] = fmaf(sum[i][2 + j], own, v.y * other);
                }
            }
            __syncwarp();
        }
    }
    if (warp < min(busy, 8)) leave(warp);
    __syncthreads();
    const int h = tid / HD, d = tid - h * HD;
    float* out = a.attended[turn] + first * HD + tid;
    float* partial = a.partial[turn] + (size_t)sp.kv * a.splits * GROUP_HEADS * (HD + 2);
    if (tid >= GROUP_HEADS * HD) return;
    float highest = NEG_INF, all_mass = 0, mixed = 0;
    const int sums = min(busy, 8);
#pragma unroll
    for (int w = 0; w < 8; w++)
        if (w < sums) highest = fmaxf(highest, s.peak[w][h]);
#pragma unroll
    for (int w = 0; w < 8; w++)
        if (w < sums) {
            const float by = expf(s.peak[w][h] - highest);
            mixed = fmaf(by, gather[w][tid], mixed);
            all_mass = fmaf(by, s.mass[w][h], all_mass);
        }
    mixed *= 1.0f / WEIGHT_UNIT;
    if (sp.used == 1) {
        if (h < group) put(out, mixed / all_mass);
        return;
    }
    if (sp.split) {
        float* to = partial + (sp.split * GROUP_HEADS + h) * (HD + 2);
        put(to + d, mixed);
        if (d == 0) {
            put(to + HD, highest);
            put(to + HD + 1, all_mass);
        }
    } else if (h < group) {
        // A lane a split, for their heights and masses; its own is known. All that is wanted is asked for together.
        constexpr int NEXT = GROUP_HEADS * (HD + 2), BATCH = 16;
        static_assert(HD % 32 == 0, "a warp has one head");
        const float* from = partial + h * (HD + 2);
        const float nothing = __uint_as_float(NOTHING);
        const bool there = lane && lane < sp.used;
        float top = there ? nothing : lane ? NEG_INF : highest, part = there ? nothing : lane ? 0 : all_mass, by = 0;
#pragma unroll 1
        for (int p0 = 1; p0 < sp.used; p0 += BATCH) {
            float v[BATCH];
#pragma unroll
            for (int i = 0; i < BATCH; i++) v[i] = p0 + i < sp.used ? nothing : 0.0f;
            bool whole;
            u32 tries = 0;
            do {
                whole = true;
                if (missing(top)) { top = peek(from + lane * NEXT + HD); whole = false; }
                if (missing(part)) { part = peek(from + lane * NEXT + HD + 1); whole = false; }
#pragma unroll
                for (int i = 0; i < BATCH; i++)
                    if (missing(v[i])) { v[i] = peek(from + (p0 + i) * NEXT + d); whole = false; }
                if (++tries == 1u << 26) __trap();
            } while (!whole);
            __syncwarp();
            if (p0 == 1) {
                by = expf(top - warp_max(top));
                all_mass = warp_sum(by * part);
                mixed *= __shfl_sync(~0u, by, 0);
            }
#pragma unroll
            for (int i = 0; i < BATCH; i++) mixed = fmaf(__shfl_sync(~0u, by, p0 + i & 31), v[i], mixed);
        }
        put(out, mixed / all_mass);
    }
}
