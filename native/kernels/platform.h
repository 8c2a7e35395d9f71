// What lets one piece of arithmetic compile for the CPU (by the C++ compiler, for several instruction sets)
// and for CUDA (by nvcc).
#pragma once

#ifdef __CUDACC__
#define CORTUNE_BOTH __host__ __device__ __forceinline__
#else
#define CORTUNE_BOTH inline __attribute__((always_inline))
#endif

// A CPU loop is compiled for AVX-512, AVX2 and the baseline, and the one for this machine is picked when the
// addon is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define CORTUNE_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CORTUNE_SIMD
#endif
