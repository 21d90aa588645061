// What all kernels share: names for types, half precision, asynchronous copies, tensor-core products, dependent launch.
// Compiled by NVRTC without any header; contraction is off (--fmad=false), so a*b+c rounds twice unless fmaf is written.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// The host's struct of the same name is laid out as T is. What the host knows comes with the compiler's options: sizes and offsets
// as macros (src/llm/backend/cuda/agreed.rs), constants by their names.
#define AGREED(T)                                                                        \
    static_assert(sizeof(T) == T##_BYTES, #T " has another size in the host's code"); \
    T##_FIELDS

// What one forward pass is about, on the device: written by `embed`, read by everything that depends on the position.
struct Step {
    int start;  // position of the first row
};

__device__ __forceinline__ float h2f(u16 h) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f; }
__device__ __forceinline__ u16 f2h(float f) { u16 h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h; }
__device__ __forceinline__ u32 f2h2(float lo, float hi) {
    u32 r; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo)); return r;
}

// ---- dependent launch (sm_90): the next kernel may start; wait until what came before is complete and visible ----
__device__ __forceinline__ void pdl_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void pdl_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// ---- asynchronous 16-byte copies to shared memory ----
__device__ __forceinline__ u32 shared_at(const void* p) { return (u32)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void cp16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_at(to)), "l"(from) : "memory");
}
// As cp16; zeros where `ok` is false.
__device__ __forceinline__ void cp16_if(void* to, const void* from, bool ok) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_at(to)), "l"(from), "r"(ok ? 16 : 0) : "memory");
}
__device__ __forceinline__ void cp_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ __forceinline__ void cp_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
__device__ __forceinline__ void prefetch_l2(const void* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }

// ---- tensor cores: operands as PTX ISA 8.5 lays out the fragments of each ----
// d += A[16×32 u8] · B[32×8 s8]
__device__ __forceinline__ void mma_u8s8(int (&d)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
// d += A[16×256 bits] · B[256×8 bits]: ones that meet ones
__device__ __forceinline__ void mma_bits(int (&d)[4], const uint4& a, u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}
// d += A[16×16 f16] · B[16×8 f16]
__device__ __forceinline__ void mma_f16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void ldmatrix4(u32 (&r)[4], const void* p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_at(p)) : "memory");
}
__device__ __forceinline__ void ldmatrix4_trans(u32 (&r)[4], const void* p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_at(p)) : "memory");
}

// ---- ternary tiles ----
// A tile is 16 rows × 32·KB columns in 512 bytes, in the order in which tensor cores take them: lane l of a warp owns 16
// bytes, four words a0..a3 (rows l/4, l/4+8, l/4, l/4+8; columns 4·(l%4).. and, for a2 and a3, 16 further on); byte b of a
// word is column b of its four. A byte holds KB codes, one for each run of 32 columns:
//   KB = 4: two bits each, run j at bits 2j (2 bits a weight)
//   KB = 5: five base-3 digits, ⌈v·256/243⌉, run 0 most significant (1.6 bits a weight)

// Words of run 0, 1, … of a 2-bit word, in place: run j comes out as code·4^j.
__device__ __forceinline__ u32 field(u32 w, int j) { return w & (0x03030303u << (2 * j)); }

// The digits of four base-3 bytes, one after the other.
struct Base3 {
    u32 lo, hi;
    __device__ __forceinline__ explicit Base3(u32 w) : lo(w & 0x00ff00ffu), hi((w >> 8) & 0x00ff00ffu) {}
    __device__ __forceinline__ u32 next() {
        lo *= 3; hi *= 3;
        u32 digit = __byte_perm(lo, hi, 0x7351);
        lo &= 0x00ff00ffu; hi &= 0x00ff00ffu;
        return digit;
    }
};

// ---- block-wide sums and maxima; `scratch` holds 32 doubles and may be used again after the next barrier ----
__device__ __forceinline__ float warp_max(float v) {
    for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(~0u, v, o));
    return v;
}
__device__ __forceinline__ float warp_sum(float v) {
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
    return v;
}
__device__ __forceinline__ double warp_sum(double v) {
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
    return v;
}
template <int OF_WARPS> __device__ __forceinline__ float block_max(float v, double* scratch) {
    float* s = (float*)scratch;
    v = warp_max(v);
    if ((threadIdx.x & 31) == 0) s[threadIdx.x >> 5] = v;
    __syncthreads();
    float r = s[0];
#pragma unroll
    for (int i = 1; i < OF_WARPS; i++) r = fmaxf(r, s[i]);
    return r;
}

// 1/√(mean of squares + eps) from a thread's share of the sum of squares: f64 throughout, rounded once.
template <int OF_WARPS> __device__ __forceinline__ float block_rms(double square, int cols, float eps, double* scratch) {
    square = warp_sum(square);
    if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = square;
    __syncthreads();
    if (threadIdx.x < 32) {
        double s = threadIdx.x < OF_WARPS ? scratch[threadIdx.x] : 0.0;
        s = warp_sum(s);
        if (threadIdx.x == 0) {
            double m = s / (double)cols + (double)eps;
            // Two Newton steps from the f32 estimate: as exact as f64 division, at a fraction of its price on Orin.
            double y = (double)rsqrtf((float)m);
            y = y * (1.5 - 0.5 * m * y * y);
            y = y * (1.5 - 0.5 * m * y * y);
            ((float*)(scratch + 31))[0] = (float)y;
        }
    }
    __syncthreads();
    return ((float*)(scratch + 31))[0];
}

#define MIN_ABSMAX 1e-5f

// Four quantized activations in one word. Rounds by adding 1.5·2²³, whose last bit is 1: conversions are dear (16 a clock and
// multiprocessor). |v·s| is far below 2²².
__device__ __forceinline__ u32 quantize4(float4 v, float s) {
    const float one = 12582912.0f;
    const u32 a = __float_as_uint(v.x * s + one), b = __float_as_uint(v.y * s + one), c = __float_as_uint(v.z * s + one), d = __float_as_uint(v.w * s + one);
    return __byte_perm(__byte_perm(a, b, 0x0040), __byte_perm(c, d, 0x0040), 0x5410);
}
__device__ __forceinline__ float absmax4(float4 v) {
    return fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
}
