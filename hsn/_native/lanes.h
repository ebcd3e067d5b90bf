// Sixteen numbers, one for each pixel: vector types of the compiler, or loops without them.
//
// A comparison gives -1 in lanes where it is true, and 0 in the others.
#pragma once

#include <cstdint>

namespace hsn {

constexpr int lanes = 16;  // pixels embedded together

#if defined(__GNUC__)
typedef float FloatLanes __attribute__((vector_size(4 * lanes)));
typedef std::int32_t IntLanes __attribute__((vector_size(4 * lanes)));

inline IntLanes to_ints(const FloatLanes& x) { return __builtin_convertvector(x, IntLanes); }
inline FloatLanes to_floats(const IntLanes& x) { return __builtin_convertvector(x, FloatLanes); }
inline FloatLanes select(const IntLanes& where, const FloatLanes& a, const FloatLanes& b) { return where ? a : b; }
#else
template <class T>
struct alignas(4 * lanes) Lanes {
  T lane[lanes];
  T& operator[](int l) { return lane[l]; }
  const T& operator[](int l) const { return lane[l]; }
  Lanes& operator+=(const Lanes& other) { return *this = *this + other; }
  Lanes& operator-=(const Lanes& other) { return *this = *this - other; }
};
using FloatLanes = Lanes<float>;
using IntLanes = Lanes<std::int32_t>;

template <class To, class Of>
inline To by_lane(const Of& of) {
  To to;
  for (int l = 0; l < lanes; ++l) to[l] = of(l);
  return to;
}
#define HSN_OPERATOR(op, To)                                                 \
  template <class T>                                                         \
  inline To operator op(const Lanes<T>& a, const Lanes<T>& b) {              \
    return by_lane<To>([&](int l) { return a[l] op b[l]; });                 \
  }                                                                          \
  template <class T>                                                         \
  inline To operator op(const Lanes<T>& a, T b) {                            \
    return by_lane<To>([&](int l) { return a[l] op b; });                    \
  }
HSN_OPERATOR(+, Lanes<T>)
HSN_OPERATOR(-, Lanes<T>)
HSN_OPERATOR(*, Lanes<T>)
HSN_OPERATOR(/, Lanes<T>)
HSN_OPERATOR(&, Lanes<T>)
HSN_OPERATOR(>>, Lanes<T>)
#undef HSN_OPERATOR
#define HSN_COMPARISON(op)                                                   \
  template <class T>                                                         \
  inline IntLanes operator op(const Lanes<T>& a, const Lanes<T>& b) {            \
    return by_lane<IntLanes>([&](int l) { return -(a[l] op b[l]); });            \
  }                                                                          \
  template <class T>                                                         \
  inline IntLanes operator op(const Lanes<T>& a, T b) {                          \
    return by_lane<IntLanes>([&](int l) { return -(a[l] op b); });               \
  }
HSN_COMPARISON(<)
HSN_COMPARISON(>=)
HSN_COMPARISON(==)
#undef HSN_COMPARISON

inline IntLanes to_ints(const FloatLanes& x) {
  return by_lane<IntLanes>([&](int l) { return static_cast<std::int32_t>(x[l]); });
}
inline FloatLanes to_floats(const IntLanes& x) {
  return by_lane<FloatLanes>([&](int l) { return static_cast<float>(x[l]); });
}
inline FloatLanes select(const IntLanes& where, const FloatLanes& a, const FloatLanes& b) {
  return by_lane<FloatLanes>([&](int l) { return where[l] ? a[l] : b[l]; });
}
#endif

}  // namespace hsn
