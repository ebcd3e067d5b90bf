// Tiles: the order of pixels, in which neighbors in the image are neighbors in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory.h"

namespace hsn {

// A part is a block of the image that one thread processes. Parts, and all sums over them, depend only on the size of
// the image, not on the number of threads.
struct Tiles {
  static constexpr std::size_t part_px = 128;  // side of a part
  static constexpr std::size_t tile_px = 8;    // side of a tile
  static constexpr std::size_t chunk = tile_px * tile_px;

  Buffer<std::uint32_t> pixels;    // image index of each position in the order
  std::vector<std::size_t> parts;  // first position of each part, and the end

  Tiles(std::size_t height, std::size_t width) : pixels(height * width) {
    // Flat images have longer parts of about the same area.
    const std::size_t rows = std::min(part_px, height), cols = part_px * part_px / rows;
    std::size_t place = 0;
    for (std::size_t top = 0; top < height; top += rows)
      for (std::size_t left = 0; left < width; left += cols) {
        parts.push_back(place);
        place = fill(top, std::min(top + rows, height), left, std::min(left + cols, width), width, place);
      }
    parts.push_back(place);
  }

  std::size_t count() const { return parts.size() - 1; }

 private:
  std::size_t fill(std::size_t top, std::size_t bottom, std::size_t left, std::size_t right, std::size_t width,
                   std::size_t place) {
    for (std::size_t y = top; y < bottom; y += tile_px)
      for (std::size_t x = left; x < right; x += tile_px)
        for (std::size_t row = y; row < std::min(y + tile_px, bottom); ++row)
          for (std::size_t col = x; col < std::min(x + tile_px, right); ++col)
            pixels[place++] = static_cast<std::uint32_t>(row * width + col);
    return place;
  }
};

}  // namespace hsn
