// The embedding: which simplex of the permutohedral lattice a pixel lies in, and its weights at the corners.
//
// Adams, Baek, Davis 2010, sections 3.1 and 3.2. Every loop runs over the lanes of sixteen pixels and has no branch,
// so that the compiler can turn it into vector instructions. Products and sums are rounded one by one, as NumPy
// does: a contracted multiply-add would put some pixels into other simplexes.
#pragma once

#include <cmath>
#include <cstdint>

#include "points.h"
#include "table.h"

namespace hsn {

// Mixed radix of the keys: digit[i] is the place value of coordinate i, lowest[i] its smallest value.
struct Radix {
  int order = 0;  // dimensions + 1
  std::int64_t digit[most_order] = {};
  std::int32_t lowest[most_order] = {};

  // What to add to a key for one step along an axis: + 1 in all coordinates, - d in the axis's own.
  Key step(int axis) const {
    Key step = -static_cast<Key>(order) * static_cast<Key>(digit[axis]);
    for (int i = 0; i < order; ++i) step += static_cast<Key>(digit[i]);
    return step;
  }
};

template <int Order>  // 0: known at run time only
class Embedding {
 public:
  Embedding(const Points& points, const Radix& radix) : points_(points), radix_(radix), runtime_order_(radix.order) {
    for (int i = 1; i < order(); ++i)  // eq. 3 of the paper, with the blur's variance
      scale_[i] = static_cast<float>(std::sqrt(2.0 / 3.0) * order() / std::sqrt(static_cast<double>(i) * (i + 1)));
    for (int i = 0; i < order(); ++i) step_[i] = radix.step(i);
  }

  int order() const { return Order ? Order : runtime_order_; }

  // Results for `lanes` pixels, of which the caller uses as many as it has.
  static constexpr int room = Order ? Order : most_order;
  Key first[lanes];           // key of the corner with remainder 0
  Key turn[lanes];            // the coordinates' ranks in one number: with `first`, it names the simplex
  float weight[lanes][room];  // barycentric, by remainder

  void operator()(const std::uint32_t* pixels) {
    points_.gather(pixels, rest_);
    elevate();
    round();
    rank();
    weigh();
    name();
  }

  // Keys of all corners of one lane, by remainder: from one to the next, the coordinate ranked d - r falls back
  // by d, the others grow by one.
  void corners(int lane, Key* keys) const {
    Key along[room];
    for (int i = 0; i < order(); ++i) along[rank_[i][lane]] = step_[i];
    keys[0] = first[lane];
    for (int r = 1; r < order(); ++r) keys[r] = keys[r - 1] + along[order() - r];
  }

 private:
  using Lanes = float[lanes];
  using Ranks = std::int32_t[lanes];

  // Onto the plane where coordinates sum to zero.
  void elevate() {
    alignas(64) Lanes total = {}, part;
    for (int i = order() - 1; i > 0; --i) {
      for (int l = 0; l < lanes; ++l) part[l] = rest_[i - 1][l] * scale_[i];
      for (int l = 0; l < lanes; ++l) elevated_[i][l] = total[l] - static_cast<float>(i) * part[l];
      for (int l = 0; l < lanes; ++l) total[l] += part[l];
    }
    for (int l = 0; l < lanes; ++l) elevated_[0][l] = total[l];
  }

  // The nearest point with remainder 0; `off_` tells how far off the plane rounding has put it.
  void round() {
    const float inverse = 1.0f / static_cast<float>(order());
    for (int l = 0; l < lanes; ++l) off_[l] = 0;
    for (int i = 0; i < order(); ++i)
      for (int l = 0; l < lanes; ++l) {
        const float multiple = nearest_integer(elevated_[i][l] * inverse);
        nearest_[i][l] = multiple * static_cast<float>(order());
        rest_[i][l] = elevated_[i][l] - nearest_[i][l];
        off_[l] += static_cast<std::int32_t>(multiple);
      }
  }

  // Rank coordinates by what rounding left, largest first, and step back onto the plane.
  void rank() {
    for (int i = 0; i < order(); ++i)
      for (int l = 0; l < lanes; ++l) rank_[i][l] = off_[l];
    for (int i = 0; i < order(); ++i)
      for (int j = i + 1; j < order(); ++j)
        for (int l = 0; l < lanes; ++l) {
          const std::int32_t later = rest_[i][l] < rest_[j][l];
          rank_[i][l] += later;
          rank_[j][l] += 1 - later;
        }
    for (int i = 0; i < order(); ++i)
      for (int l = 0; l < lanes; ++l) {
        const std::int32_t turn = order() * ((rank_[i][l] < 0) - (rank_[i][l] >= order()));
        rank_[i][l] += turn;
        nearest_[i][l] += static_cast<float>(turn);
        rest_[i][l] = elevated_[i][l] - nearest_[i][l];
      }
  }

  // Weights are differences of the sorted coordinates.
  void weigh() {
    const float inverse = 1.0f / static_cast<float>(order());
    alignas(64) Lanes sorted[room];
    for (int k = 0; k < order(); ++k)
      for (int l = 0; l < lanes; ++l) sorted[k][l] = 0;
    for (int i = 0; i < order(); ++i) {
      alignas(64) Lanes share;
      for (int l = 0; l < lanes; ++l) share[l] = rest_[i][l] * inverse;
      for (int k = 0; k < order(); ++k)
        for (int l = 0; l < lanes; ++l) sorted[k][l] = rank_[i][l] == k ? share[l] : sorted[k][l];
    }
    const int last = order() - 1;
    for (int l = 0; l < lanes; ++l) weight[l][0] = 1.0f + (sorted[last][l] - sorted[0][l]);
    for (int r = 1; r <= last; ++r)
      for (int l = 0; l < lanes; ++l) weight[l][r] = sorted[last - r][l] - sorted[last - r + 1][l];
  }

  // The simplex' name: the key of its corner with remainder 0, and the order of its coordinates.
  void name() {
    for (int l = 0; l < lanes; ++l) first[l] = turn[l] = 0;
    for (int i = 0; i < order(); ++i) {
      const auto digit = static_cast<Key>(radix_.digit[i]);
      const std::int64_t lowest = radix_.lowest[i];
      for (int l = 0; l < lanes; ++l) {
        const auto coordinate = static_cast<std::int32_t>(nearest_[i][l]);
        first[l] += static_cast<Key>(static_cast<std::int64_t>(coordinate) - lowest) * digit;
      }
      const auto base = static_cast<Key>(order());
      for (int l = 0; l < lanes; ++l) turn[l] = turn[l] * base + static_cast<Key>(rank_[i][l]);
    }
  }

  // Halves to even, by pushing the fraction out of the mantissa: |x| < 2^22 is checked where features come in.
  static float nearest_integer(float x) {
    constexpr float push = 12582912.0f;  // 1.5 * 2^23
    return (x + push) - push;
  }

  const Points& points_;
  const Radix& radix_;
  int runtime_order_;
  float scale_[room];
  Key step_[room];
  alignas(64) Lanes rest_[room], elevated_[room], nearest_[room];
  alignas(64) Ranks rank_[room], off_;
};

}  // namespace hsn
