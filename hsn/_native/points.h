// Points: what the lattice knows of an image's pixels, read sixteen at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hsn {

constexpr int lanes = 16;      // pixels embedded together
constexpr int most_order = 32;  // dimensions + 1 at most

// A pixel's features: its place over `spread_px` and its colour over `spread_colour`, or a row of `features`.
// Without `image` and `features` only the place counts.
struct Points {
  std::size_t height = 0, width = 0;
  float top = 0, left = 0;  // place of the first pixel, where the image is a block of a larger one
  float spread_px = 1, spread_colour = 1;
  const std::uint8_t* image = nullptr;  // (H, W, 3)
  const float* features = nullptr;      // (H, W, dimension)
  int dimension = 2;

  std::size_t size() const { return height * width; }

  // Fill feature[i][lane] of `lanes` pixels.
  void gather(const std::uint32_t* pixels, float feature[][lanes]) const {
    if (features) return gather_features(pixels, feature);
    for (int lane = 0; lane < lanes; ++lane) {
      // Exact: a double holds both numbers, and a quotient below an integer never rounds up to it.
      const auto row = static_cast<std::uint32_t>(static_cast<double>(pixels[lane]) / static_cast<double>(width));
      const std::uint32_t col = pixels[lane] - row * static_cast<std::uint32_t>(width);
      feature[0][lane] = (left + static_cast<float>(col)) / spread_px;
      feature[1][lane] = (top + static_cast<float>(row)) / spread_px;
    }
    if (!image) return;
    for (int lane = 0; lane < lanes; ++lane) {
      const std::uint8_t* colour = image + 3 * static_cast<std::size_t>(pixels[lane]);
      for (int i = 0; i < 3; ++i) feature[2 + i][lane] = colour[i];
    }
    for (int i = 2; i < 5; ++i)
      for (int lane = 0; lane < lanes; ++lane) feature[i][lane] /= spread_colour;
  }

 private:
  void gather_features(const std::uint32_t* pixels, float feature[][lanes]) const {
    for (int lane = 0; lane < lanes; ++lane) {
      const float* from = features + static_cast<std::size_t>(dimension) * pixels[lane];
      for (int i = 0; i < dimension; ++i) feature[i][lane] = from[i];
    }
  }
};

}  // namespace hsn
