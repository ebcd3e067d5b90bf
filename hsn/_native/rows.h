// A row: the values of one corner of the lattice, or of one pixel, held in registers.
//
// Rows have W floats, one for each channel, padded to the width of vector registers. Vector types of the compiler serve
// SSE2, AVX2, AVX-512 and NEON with one source; other compilers use loops.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__FMA__)
#include <immintrin.h>
#endif

namespace hsn {

#if defined(__GNUC__)
template <int L>
struct VectorOf;
template <>
struct VectorOf<1> {
  using type = float;
};
template <>
struct VectorOf<4> {
  typedef float type __attribute__((vector_size(16)));
};
template <>
struct VectorOf<8> {
  typedef float type __attribute__((vector_size(32)));
};
template <>
struct VectorOf<16> {
  typedef float type __attribute__((vector_size(64)));
};
template <int L>
using Vector = typename VectorOf<L>::type;

// A vector at any address, by a typed pointer: memcpy would use the stack.
template <int L>
inline Vector<L> load_vector(const float* from) {
  typedef Vector<L> Anywhere __attribute__((aligned(4), may_alias));
  return *reinterpret_cast<const Anywhere*>(from);
}
template <int L>
inline void store_vector(float* to, const Vector<L>& vector) {
  typedef Vector<L> Anywhere __attribute__((aligned(4), may_alias));
  *reinterpret_cast<Anywhere*>(to) = vector;
}
#else
template <int L>
struct Vector {
  float lane[L];
  friend Vector operator*(float a, Vector b) {
    for (int i = 0; i < L; ++i) b.lane[i] *= a;
    return b;
  }
  friend Vector operator+(Vector a, const Vector& b) {
    for (int i = 0; i < L; ++i) a.lane[i] += b.lane[i];
    return a;
  }
};
template <int L>
inline Vector<L> load_vector(const float* from) {
  Vector<L> vector;
  std::memcpy(vector.lane, from, sizeof vector.lane);
  return vector;
}
template <int L>
inline void store_vector(float* to, const Vector<L>& vector) {
  std::memcpy(to, vector.lane, sizeof vector.lane);
}
#endif

// a * x + y. Contraction is disabled in the kernel (the embedding must round as NumPy), so it is explicit here.
template <class V>
inline V multiply_add(float a, const V& x, const V& y) {
  return a * x + y;
}
#if defined(__FMA__)
inline float multiply_add(float a, const float& x, const float& y) { return __builtin_fmaf(a, x, y); }
inline Vector<4> multiply_add(float a, const Vector<4>& x, const Vector<4>& y) {
  return _mm_fmadd_ps(_mm_set1_ps(a), x, y);
}
inline Vector<8> multiply_add(float a, const Vector<8>& x, const Vector<8>& y) {
  return _mm256_fmadd_ps(_mm256_set1_ps(a), x, y);
}
#endif
#if defined(__AVX512F__)
inline Vector<16> multiply_add(float a, const Vector<16>& x, const Vector<16>& y) {
  return _mm512_fmadd_ps(_mm512_set1_ps(a), x, y);
}
constexpr int widest = 16;
#else
constexpr int widest = 8;
#endif

constexpr int lanes_for(int width) {
  if (width % 16 == 0 && widest == 16) return 16;
  if (width % 8 == 0) return 8;
  if (width % 4 == 0) return 4;
  return 1;
}

template <int W>
struct Row {
  static constexpr int lanes = lanes_for(W);
  static constexpr int count = W / lanes;
  Vector<lanes> part[count];

  static Row load(const float* from) {
    Row row;
    for (int i = 0; i < count; ++i) row.part[i] = load_vector<lanes>(from + i * lanes);
    return row;
  }
  static Row zero() {
    const float zeros[lanes] = {};
    Row row;
    for (int i = 0; i < count; ++i) row.part[i] = load_vector<lanes>(zeros);
    return row;
  }
  void store(float* to) const {
    for (int i = 0; i < count; ++i) store_vector<lanes>(to + i * lanes, part[i]);
  }
  void add(float weight, const Row& other) {
    for (int i = 0; i < count; ++i) part[i] = multiply_add(weight, other.part[i], part[i]);
  }
  void add(const Row& other) {
    for (int i = 0; i < count; ++i) part[i] = part[i] + other.part[i];
  }
  Row times(float weight) const {
    Row row;
    for (int i = 0; i < count; ++i) row.part[i] = weight * part[i];
    return row;
  }
};

}  // namespace hsn
