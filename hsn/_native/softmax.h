// exp, log and softmax of many numbers, in loops that the compiler vectorizes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rows.h"
#include "tiles.h"

namespace hsn {

inline float as_float(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline std::uint32_t as_bits(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// A marginal below e^-50 does not change a float32 sum, but its products would be slow denormal numbers.
constexpr float least_logit = -50.0f;

// exp(x) for x <= 0, relative error 2e-7: x = (n + f) ln 2 with |f| <= ½, then 2^n by the exponent's bits.
inline float exp_of(float x) {
  constexpr float push = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits
  x = x > least_logit ? x : least_logit;
  const float scaled = x * 1.44269504f + push;
  const float n = scaled - push;
  const float g = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, the first one exact
  float series = multiply_add(1.0f / 5040, g, 1.0f / 720);      // Taylor
  series = multiply_add(series, g, 1.0f / 120);
  series = multiply_add(series, g, 1.0f / 24);
  series = multiply_add(series, g, 1.0f / 6);
  series = multiply_add(series, g, 0.5f);
  series = multiply_add(series, g, 1.0f);
  series = multiply_add(series, g, 1.0f);
  return as_float(as_bits(series) + (as_bits(scaled) << 23));
}

// log(x) for normal x > 0: x = m 2^n with m in [√½, √2], and log m = 2 artanh((m - 1) / (m + 1)).
inline float log_of(float x) {
  const std::uint32_t bits = as_bits(x), shifted = bits - 0x3f3504f3u;  // √½
  const auto n = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  const float m = as_float((shifted & 0x007fffffu) + 0x3f3504f3u);
  const float s = (m - 1.0f) / (m + 1.0f), t = s * s;
  float series = multiply_add(2.0f / 9, t, 2.0f / 7);
  series = multiply_add(series, t, 2.0f / 5);
  series = multiply_add(series, t, 2.0f / 3);
  series = multiply_add(series, t, 2.0f);
  return n * 0.693147181f + s * series;
}

// Reduces the lanes of a row to four, by sums or maxima. The rest of 64 rows is then reduced together, in loops without
// a carried dependency.
template <int W, class Combine>
inline void fold_row(const float* row, float* four, const Combine& combine) {
  for (int i = 0; i < 4; ++i) four[i] = row[i];
  for (int c = 4; c < W; c += 4)
    for (int i = 0; i < 4; ++i) four[i] = combine(four[i], row[c + i]);
}

// One number for each of `count` rows.
template <int W, class Combine>
void fold_rows(const float* rows, std::size_t count, float* folded, const Combine& combine) {
  if constexpr (W == 1) {
    for (std::size_t i = 0; i < count; ++i) folded[i] = rows[i];
  } else {
    static_assert(W % 4 == 0, "rows are padded");
    alignas(64) float four[Tiles::chunk * 4];
    for (std::size_t i = 0; i < count; ++i) fold_row<W>(rows + i * W, four + 4 * i, combine);
    for (std::size_t i = 0; i < count; ++i)
      folded[i] = combine(combine(four[4 * i], four[4 * i + 1]), combine(four[4 * i + 2], four[4 * i + 3]));
  }
}

inline float clip(float p, float least) {
  p = p > least ? p : least;
  return p < 1.0f ? p : 1.0f;
}

// Softmax of `count` pixels with W logits each, in place. `reference` holds one more class for each pixel, with logit 0
// if `with_reference`; otherwise it stays 0. With `relative`, marginals are relative to the reference.
template <int W>
void softmax(float* logits, std::size_t count, bool with_reference, bool relative, float* reference) {
  alignas(64) float most[Tiles::chunk], inverse[Tiles::chunk];
  fold_rows<W>(logits, count, most, [](float a, float b) { return a > b ? a : b; });
  const float least = with_reference ? 0.0f : -3e38f, is_class = with_reference;
  for (std::size_t i = 0; i < count; ++i) most[i] = most[i] > least ? most[i] : least;
  for (std::size_t i = 0; i < count; ++i) reference[i] = is_class * exp_of(-most[i]);
  for (std::size_t i = 0; i < count; ++i)
    for (int c = 0; c < W; ++c) logits[i * W + c] = exp_of(logits[i * W + c] - most[i]);
  fold_rows<W>(logits, count, inverse, [](float a, float b) { return a + b; });
  for (std::size_t i = 0; i < count; ++i) inverse[i] = 1.0f / (reference[i] + inverse[i]);
  for (std::size_t i = 0; i < count; ++i) reference[i] *= inverse[i];
  const float taken = relative;
  for (std::size_t i = 0; i < count; ++i)
    for (int c = 0; c < W; ++c) logits[i * W + c] = logits[i * W + c] * inverse[i] - taken * reference[i];
}

}  // namespace hsn
