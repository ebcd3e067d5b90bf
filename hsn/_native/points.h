// Points: features of the pixels of an image, sixteen at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes.h"

namespace hsn {

constexpr int most_order = 32;  // dimensions + 1 at most

// Features of a pixel: position over `spread_px` and color over `spread_colour`, or a row of `features`. Without
// `image` and `features`, only the position.
struct Points {
  std::size_t height = 0, width = 0;
  float top = 0, left = 0;  // position of the first pixel, if the image is a block of a larger one
  float spread_px = 1, spread_colour = 1;
  const std::uint8_t* image = nullptr;  // (H, W, 3)
  const float* features = nullptr;      // (H, W, dimension)
  int dimension = 2;

  std::size_t size() const { return height * width; }

  // Fills the features of sixteen pixels.
  void gather(const std::uint32_t* pixels, FloatLanes* feature) const {
    if (features) return gather_features(pixels, feature);
    FloatLanes col, row;
    for (int l = 0; l < lanes; ++l) {
      // Exact: a double holds both numbers, and a quotient below an integer is not rounded up to it.
      const auto of = static_cast<std::uint32_t>(static_cast<double>(pixels[l]) / static_cast<double>(width));
      col[l] = static_cast<float>(pixels[l] - of * static_cast<std::uint32_t>(width));
      row[l] = static_cast<float>(of);
    }
    feature[0] = (col + left) / spread_px;
    feature[1] = (row + top) / spread_px;
    if (image) gather_colour(pixels, feature + 2);
  }

 private:
  void gather_colour(const std::uint32_t* pixels, FloatLanes* colour) const {
    IntLanes packed;
    for (int l = 0; l < lanes; ++l) {
      const std::uint8_t* rgb = image + 3 * static_cast<std::size_t>(pixels[l]);
      packed[l] = rgb[0] | rgb[1] << 8 | rgb[2] << 16;
    }
    for (int i = 0; i < 3; ++i) colour[i] = to_floats(packed >> 8 * i & 0xff) / spread_colour;
  }
  void gather_features(const std::uint32_t* pixels, FloatLanes* feature) const {
    for (int l = 0; l < lanes; ++l) {
      const float* from = features + static_cast<std::size_t>(dimension) * pixels[l];
      for (int i = 0; i < dimension; ++i) feature[i][l] = from[i];
    }
  }
};

}  // namespace hsn
