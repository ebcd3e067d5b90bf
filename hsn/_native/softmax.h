// exp, log and softmax over many numbers at once, in plain loops that the compiler turns into vector instructions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rows.h"

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

// Below e^-50 a marginal moves no float32 sum, but its products would become denormal numbers, which are slow.
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

// The largest, and the sum, of W numbers, by halves: short loops without a carried dependency.
template <int W>
inline float largest(const float* x) {
  if constexpr (W == 1) {
    return x[0];
  } else if constexpr (W % 2) {
    return std::max(x[0], largest<W - 1>(x + 1));
  } else {
    constexpr int half = W / 2;
    float y[half];
    for (int i = 0; i < half; ++i) y[i] = x[i] > x[i + half] ? x[i] : x[i + half];
    return largest<half>(y);
  }
}
template <int W>
inline float sum_of(const float* x) {
  if constexpr (W == 1) {
    return x[0];
  } else if constexpr (W % 2) {
    return x[0] + sum_of<W - 1>(x + 1);
  } else {
    constexpr int half = W / 2;
    float y[half];
    for (int i = 0; i < half; ++i) y[i] = x[i] + x[i + half];
    return sum_of<half>(y);
  }
}

inline float clip(float p, float least) {
  p = p > least ? p : least;
  return p < 1.0f ? p : 1.0f;
}

// Softmax of `count` pixels of W logits each, in place. `reference` holds one more class a pixel, whose logit is 0
// where `with_reference`; else it is no class and stays 0.
template <int W>
void softmax(float* logits, std::size_t count, bool with_reference, float* reference) {
  for (std::size_t pixel = 0; pixel < count; ++pixel) {
    float* logit = logits + pixel * W;
    float most = largest<W>(logit);
    if (with_reference) most = most > 0.0f ? most : 0.0f;
    for (int c = 0; c < W; ++c) logit[c] -= most;
    reference[pixel] = -most;
  }
  for (std::size_t i = 0; i < count * W; ++i) logits[i] = exp_of(logits[i]);
  const float is_class = with_reference ? 1.0f : 0.0f;
  for (std::size_t pixel = 0; pixel < count; ++pixel) reference[pixel] = is_class * exp_of(reference[pixel]);
  for (std::size_t pixel = 0; pixel < count; ++pixel) {
    float* mass = logits + pixel * W;
    const float inverse = 1.0f / (reference[pixel] + sum_of<W>(mass));
    for (int c = 0; c < W; ++c) mass[c] *= inverse;
    reference[pixel] *= inverse;
  }
}

}  // namespace hsn
