// GGUF's blocks, one weight at a time: what `quant::decode` does, in the same order of operations.
// Source: the dequantize_row functions of ggml-org/llama.cpp, ggml/src/ggml-quants.c at 36491e4; Q2_0 as the GGUFs of Ternary-Bonsai
// (PrismML) have it.
#pragma once
#include "common.cuh"

// Types (T_F32, T_Q4_0, …) have the numbers that the host's code gives them: GGUF's, with 142 for Q2_0 in groups of 128.

__device__ __forceinline__ u16 u16_at(const u8* p) { return (u16)(p[0] | p[1] << 8); }

// Weights and bytes of a ternary block.
__device__ __forceinline__ constexpr int ternary_cols(int type) { return type == T_Q2_0 ? 64 : type == T_Q2_0_G128 ? 128 : 256; }
__device__ __forceinline__ constexpr int ternary_bytes(int type) { return type == T_TQ1_0 ? 54 : type == T_TQ2_0 ? 66 : type == T_Q2_0 ? 18 : 34; }
__device__ __forceinline__ float ternary_scale(const u8* b, int type) {
    return h2f(u16_at(type == T_TQ1_0 ? b + 52 : type == T_TQ2_0 ? b + 64 : b));
}

// Code (0..3) of weight n of a ternary block whose scale is not 0.
__device__ __forceinline__ int ternary_code(const u8* b, int type, int n) {
    if (type == T_TQ2_0) return b[32 * (n >> 7) + (n & 31)] >> (2 * ((n >> 5) & 3)) & 3;
    if (type == T_TQ1_0) {
        int byte, trit;
        if (n < 160) { byte = n & 31; trit = n >> 5; }
        else if (n < 240) { byte = 32 + ((n - 160) & 15); trit = (n - 160) >> 4; }
        else { byte = 48 + ((n - 240) & 3); trit = (n - 240) >> 2; }
        int power = trit == 0 ? 1 : trit == 1 ? 3 : trit == 2 ? 9 : trit == 3 ? 27 : 81;
        return ((b[byte] * power & 0xff) * 3) >> 8;
    }
    return b[2 + (n >> 2)] >> (2 * (n & 3)) & 3;
}

// Weights and bytes of a block of `type`.
__device__ __forceinline__ constexpr int block_cols(int type) {
    switch (type) {
    case T_F32: case T_F16: case T_BF16: return 1;
    case T_Q4_0: case T_Q8_0: return 32;
    case T_Q4_K: case T_Q6_K: return 256;
    default: return ternary_cols(type);
    }
}
__device__ __forceinline__ constexpr int block_bytes(int type) {
    switch (type) {
    case T_F32: return 4;
    case T_F16: case T_BF16: return 2;
    case T_Q4_0: return 18;
    case T_Q8_0: return 34;
    case T_Q4_K: return 144;
    case T_Q6_K: return 210;
    default: return ternary_bytes(type);
    }
}
BLOCKS_AGREED

// Weight `col` of a row of `type`.
__device__ __forceinline__ float weight_at(const u8* row, int type, int col) {
    switch (type) {
    case T_F32: { const u8* p = row + 4 * (size_t)col; return __uint_as_float(p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24); }
    case T_F16: return h2f(u16_at(row + 2 * (size_t)col));
    case T_BF16: return __uint_as_float((u32)u16_at(row + 2 * (size_t)col) << 16);
    case T_Q4_0: {
        const u8* b = row + (size_t)(col >> 5) * 18;
        int n = col & 31, byte = b[2 + (n & 15)];
        return ((float)(n < 16 ? byte & 15 : byte >> 4) - 8.0f) * h2f(u16_at(b));
    }
    case T_Q8_0: {
        const u8* b = row + (size_t)(col >> 5) * 34;
        return (float)(i8)b[2 + (col & 31)] * h2f(u16_at(b));
    }
    case T_Q4_K: {
        const u8* b = row + (size_t)(col >> 8) * 144;
        int n = col & 255, sub = n >> 5;
        const u8* s = b + 4;
        int sc, m;
        if (sub < 4) { sc = s[sub] & 63; m = s[sub + 4] & 63; }
        else { sc = (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4; m = (s[sub + 4] >> 4) | (s[sub] >> 6) << 4; }
        int byte = b[16 + (n >> 6) * 32 + (n & 31)], q = (n >> 5) & 1 ? byte >> 4 : byte & 15;
        return h2f(u16_at(b)) * (float)sc * (float)q - h2f(u16_at(b + 2)) * (float)m;
    }
    case T_Q6_K: {
        const u8* b = row + (size_t)(col >> 8) * 210;
        int n = col & 255, half = n >> 7, in = n & 127, run = in >> 5, l = in & 31;
        int low = b[half * 64 + (run & 1) * 32 + l], high = b[128 + half * 32 + l];
        int q = (run < 2 ? low & 15 : low >> 4) | ((high >> (2 * run)) & 3) << 4;
        float sc = (float)(i8)b[192 + half * 8 + run * 2 + (l >> 4)];
        return h2f(u16_at(b + 208)) * sc * (float)(q - 32);
    }
    default: {
        int of = ternary_cols(type);
        const u8* b = row + (size_t)(col / of) * ternary_bytes(type);
        float d = ternary_scale(b, type);
        return d == 0.0f ? 0.0f * d : (float)(ternary_code(b, type, col % of) - 1) * d;
    }
    }
}
