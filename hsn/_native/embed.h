// Embedding: the simplex of the permutohedral lattice around a pixel, and its weights at the corners.
//
// Adams, Baek, Davis 2010, sections 3.1 and 3.2. Sixteen pixels are embedded together, without data-dependent
// branches. Products and sums are rounded separately, as in NumPy: a contracted multiply-add would assign some pixels
// to other simplexes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lanes.h"
#include "points.h"
#include "table.h"

namespace hsn {

// Mixed radix of the keys: digit[i] is the place value of coordinate i, lowest[i] its smallest value.
struct Radix {
  int order = 0;  // dimensions + 1
  std::int64_t digit[most_order] = {};
  std::int32_t lowest[most_order] = {};

  bool operator==(const Radix& other) const {
    return order == other.order && std::equal(digit, digit + order, other.digit) &&
           std::equal(lowest, lowest + order, other.lowest);
  }

  // Key difference of one step along an axis: + 1 in all coordinates, - d in the coordinate of the axis.
  Key step(int axis) const {
    Key step = -static_cast<Key>(order) * static_cast<Key>(digit[axis]);
    for (int i = 0; i < order; ++i) step += static_cast<Key>(digit[i]);
    return step;
  }
};

template <int Order>  // 0: order is known only at run time
class Embedding {
 public:
  Embedding(const Points& points, const Radix& radix) : points_(points), radix_(radix), runtime_order_(radix.order) {
    for (int i = 1; i < order(); ++i)  // eq. 3 of the paper, with the variance of the blur
      scale_[i] = static_cast<float>(std::sqrt(2.0 / 3.0) * order() / std::sqrt(static_cast<double>(i) * (i + 1)));
    for (int i = 0; i < order(); ++i) step_[i] = radix.step(i);
  }

  int order() const { return Order ? Order : runtime_order_; }

  // Results for sixteen pixels; the caller can use fewer.
  static constexpr int room = Order ? Order : most_order;
  FloatLanes weight[room];  // barycentric, by remainder

  void operator()(const std::uint32_t* pixels) {
    points_.gather(pixels, rest_);
    elevate();
    round();
    rank();
    weigh();
    name();
  }

  // Keys of all corners of one lane, by remainder. From one to the next, the coordinate of rank d - r decreases by d,
  // the others increase by one.
  void corners(int lane, Key* keys) const {
    Key along[room];
    for (int i = 0; i < order(); ++i) along[rank_[i][lane]] = step_[i];
    keys[0] = first_[lane];
    for (int r = 1; r < order(); ++r) keys[r] = keys[r - 1] + along[order() - r];
  }

 private:
  // Projects to the plane of coordinates with sum zero.
  void elevate() {
    FloatLanes total = {};
    for (int i = order() - 1; i > 0; --i) {
      const FloatLanes part = rest_[i - 1] * scale_[i];
      elevated_[i] = total - part * static_cast<float>(i);
      total += part;
    }
    elevated_[0] = total;
  }

  // The nearest point with remainder 0; `off_` is its distance from the plane after rounding.
  void round() {
    const float inverse = 1.0f / static_cast<float>(order());
    off_ = IntLanes{};
    for (int i = 0; i < order(); ++i) {
      const FloatLanes multiple = nearest_integer(elevated_[i] * inverse);
      nearest_[i] = multiple * static_cast<float>(order());
      rest_[i] = elevated_[i] - nearest_[i];
      off_ += to_ints(multiple);
    }
  }

  // Ranks coordinates by their rounding residuals, largest first, and returns to the plane.
  void rank() {
    for (int i = 0; i < order(); ++i) rank_[i] = off_ + i;  // each of the i coordinates before it can be larger
    for (int i = 0; i < order(); ++i)
      for (int j = i + 1; j < order(); ++j) {
        const IntLanes later = rest_[i] < rest_[j];  // -1 if true
        rank_[i] -= later;
        rank_[j] += later;
      }
    for (int i = 0; i < order(); ++i) {
      const IntLanes turn = ((rank_[i] >= order()) - (rank_[i] < 0)) * order();
      rank_[i] += turn;
      nearest_[i] += to_floats(turn);
      rest_[i] = elevated_[i] - nearest_[i];
    }
  }

  // Weights are differences of sorted coordinates.
  void weigh() {
    const float inverse = 1.0f / static_cast<float>(order());
    FloatLanes sorted[room];
    for (int k = 0; k < order(); ++k) sorted[k] = FloatLanes{};
    for (int i = 0; i < order(); ++i) {
      const FloatLanes share = rest_[i] * inverse;
      for (int k = 0; k < order(); ++k) sorted[k] = select(rank_[i] == k, share, sorted[k]);
    }
    const int last = order() - 1;
    weight[0] = (sorted[last] - sorted[0]) + 1.0f;
    for (int r = 1; r <= last; ++r) weight[r] = sorted[last - r] - sorted[last - r + 1];
  }

  // The key of the corner with remainder 0.
  void name() {
    for (int l = 0; l < lanes; ++l) first_[l] = 0;
    for (int i = 0; i < order(); ++i) {
      const IntLanes coordinate = to_ints(nearest_[i]);
      for (int l = 0; l < lanes; ++l)
        first_[l] += static_cast<Key>(coordinate[l] - static_cast<std::int64_t>(radix_.lowest[i])) *
                     static_cast<Key>(radix_.digit[i]);
    }
  }

  // Rounds half to even by shifting the fraction out of the mantissa. |x| < 2^22 is validated with the features.
  static FloatLanes nearest_integer(const FloatLanes& x) {
    constexpr float push = 12582912.0f;  // 1.5 * 2^23
    return (x + push) - push;
  }

  const Points& points_;
  const Radix& radix_;
  int runtime_order_;
  float scale_[room];
  Key step_[room], first_[lanes];
  FloatLanes rest_[room], elevated_[room], nearest_[room];
  IntLanes rank_[room], off_;
};

}  // namespace hsn
