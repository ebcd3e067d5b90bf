// Vector instructions that the processor and the operating system support.
#pragma once

#include <string>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif
#if defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace hsn {

inline bool cpu_supports(const std::string& level) {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (level == "avx2") return avx2;
  return level == "avx512" && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#elif defined(_MSC_VER) && defined(_M_X64)
  int one[4], seven[4];
  __cpuid(one, 1);
  __cpuidex(seven, 7, 0);
  const bool saves = (one[2] & (1 << 27)) != 0;  // the operating system saves the wide registers
  const bool avx2 = saves && (_xgetbv(0) & 6) == 6 && (seven[1] & (1 << 5)) && (one[2] & (1 << 12));
  if (level == "avx2") return avx2;
  constexpr int f_dq_bw_vl = (1 << 16) | (1 << 17) | (1 << 30) | (1 << 31);
  return level == "avx512" && avx2 && (_xgetbv(0) & 0xe6) == 0xe6 && (seven[1] & f_dq_bw_vl) == f_dq_bw_vl;
#else
  (void)level;
  return false;
#endif
}

// Treats denormal numbers as 0 in the calling thread. Returns false if that is not supported.
inline bool flush_denormals(bool flush) {
#if defined(__x86_64__) || defined(_M_X64)
  constexpr unsigned flags = 0x8040;  // flush to zero, denormals are zero
  _mm_setcsr(flush ? _mm_getcsr() | flags : _mm_getcsr() & ~flags);
  return true;
#else
  (void)flush;
  return false;
#endif
}

}  // namespace hsn
