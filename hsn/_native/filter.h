// The three steps of the filter on rows of W floats: splat, blur, slice.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crew.h"
#include "lattice.h"
#include "memory.h"
#include "rows.h"
#include "tiles.h"

namespace hsn {

// Scale of the sums of a lattice in the paper: 1 / (1 + 2^-d).
inline float gain_of(int order) { return 1.0f / (1.0f + std::ldexp(1.0f, 1 - order)); }

template <int Order, int W>
void splat_pixels(const std::uint32_t* local, const float* weights, int order, const float* values, std::size_t count,
                  float* rows) {
  if (Order) order = Order;
  for (std::size_t pixel = 0; pixel < count; ++pixel, local += order, weights += order) {
    const Row<W> value = Row<W>::load(values + pixel * W);
    for (int r = 0; r < order; ++r) {
      float* at = rows + static_cast<std::size_t>(local[r]) * W;
      Row<W> row = Row<W>::load(at);
      row.add(weights[r], value);
      row.store(at);
    }
  }
}

template <int Order, int W>
void slice_pixels(const std::uint32_t* local, const float* weights, int order, const float* rows, std::size_t count,
                  const float* start, float* values) {
  if (Order) order = Order;
  for (std::size_t pixel = 0; pixel < count; ++pixel, local += order, weights += order) {
    Row<W> value = Row<W>::load(start + pixel * W);
    for (int r = 0; r < order; ++r)
      value.add(weights[r], Row<W>::load(rows + static_cast<std::size_t>(local[r]) * W));
    value.store(values + pixel * W);
  }
}

// new = old + ½ (left + right) along chains, in place: each row is read once and written once.
template <int W>
void blur_chains(const std::uint32_t* item, const std::uint32_t* end, float* rows) {
  constexpr std::ptrdiff_t ahead = W >= 8 ? 32 : 12;  // items: wide rows take longer to load
  Row<W> half_left = Row<W>::zero(), old = Row<W>::load(rows + static_cast<std::size_t>(*item >> 1) * W);
  for (; item != end; ++item) {
#if defined(__GNUC__)
    if (end - item > ahead) {
      const float* soon = rows + static_cast<std::size_t>(item[ahead] >> 1) * W;
      for (int c = 0; c < W; c += 16) __builtin_prefetch(soon + c, 1);
      if (W > 4) __builtin_prefetch(soon + W - 1, 1);  // rows are not aligned to cache lines
    }
#endif
    const float half = *item & 1 ? 0.0f : 0.5f;  // contribution to the next row: 0 at the end of a chain
    const Row<W> right = item + 1 == end ? Row<W>::zero() : Row<W>::load(rows + static_cast<std::size_t>(item[1] >> 1) * W);
    Row<W> blurred = old;
    blurred.add(half_left);
    blurred.add(half, right);
    blurred.store(rows + static_cast<std::size_t>(*item >> 1) * W);
    half_left = old.times(half);
    old = right;
  }
}

// Filter of one lattice on rows of width W.
template <int W>
class Filter {
 public:
  explicit Filter(const Lattice& lattice) : lattice_(lattice), rows_(lattice.rows() * W) {}

  void clear(std::size_t part) {
    const std::size_t begin = lattice_.first[part], end = lattice_.first[part + 1];
    std::memset(&rows_[begin * W], 0, (end - begin) * W * sizeof(float));
  }

  // Pixels [begin, end) of a part, in tile order.
  void splat(std::size_t part, std::size_t begin, std::size_t end, const float* values) {
    float* rows = rows_.data() + lattice_.first[part] * W;
    const std::size_t at = begin * lattice_.order;
    dispatch([&](auto order) {
      splat_pixels<order.value, W>(&lattice_.local[at], &lattice_.weights[at], lattice_.order, values, end - begin, rows);
    });
  }
  // values = start + sliced rows; both can be the same array.
  void slice(std::size_t part, std::size_t begin, std::size_t end, const float* start, float* values) const {
    const float* rows = rows_.data() + lattice_.first[part] * W;
    const std::size_t at = begin * lattice_.order;
    dispatch([&](auto order) {
      slice_pixels<order.value, W>(&lattice_.local[at], &lattice_.weights[at], lattice_.order, rows, end - begin, start,
                                   values);
    });
  }

  void gather_ghosts(std::size_t part) {
    for (const Ghost& ghost : lattice_.ghosts[part]) {
      float* owner = &rows_[static_cast<std::size_t>(ghost.owner) * W];
      Row<W> sum = Row<W>::load(owner);
      sum.add(Row<W>::load(&rows_[static_cast<std::size_t>(ghost.row) * W]));
      sum.store(owner);
    }
  }
  void scatter_ghosts(std::size_t part) {
    for (const Ghost& ghost : lattice_.ghosts[part])
      Row<W>::load(&rows_[static_cast<std::size_t>(ghost.owner) * W])
          .store(&rows_[static_cast<std::size_t>(ghost.row) * W]);
  }

  std::size_t blur_jobs(int axis) const { return lattice_.chains[axis].cuts.size() - 1; }
  void blur(int axis, std::size_t job) {
    const Chains& chains = lattice_.chains[axis];
    blur_chains<W>(&chains.items[chains.cuts[job]], chains.items.data() + chains.cuts[job + 1], rows_.data());
  }

  const Lattice& lattice() const { return lattice_; }

 private:
  template <class Do>
  void dispatch(const Do& work) const {
    if (lattice_.order == 3) return work(std::integral_constant<int, 3>());
    if (lattice_.order == 6) return work(std::integral_constant<int, 6>());
    work(std::integral_constant<int, 0>());
  }

  const Lattice& lattice_;
  Buffer<float> rows_;  // (rows, W)
};

// Blurs the rows of several filters together: one axis at a time, with the jobs of all filters.
template <int W>
void blur_all(std::vector<Filter<W>*>& filters, const Tiles& tiles, bool transposed, Crew& crew) {
  crew.each(tiles.count(), [&](std::size_t part, int) {
    for (auto* filter : filters) filter->gather_ghosts(part);
  });
  int most = 0;
  for (auto* filter : filters) most = std::max(most, filter->lattice().order);
  for (int turn = 0; turn < most; ++turn) {
    struct Job {
      Filter<W>* filter;
      int axis;
      std::size_t job;
    };
    std::vector<Job> jobs;
    for (auto* filter : filters) {
      const int order = filter->lattice().order, axis = transposed ? order - 1 - turn : turn;
      if (turn >= order) continue;
      for (std::size_t job = 0; job < filter->blur_jobs(axis); ++job) jobs.push_back({filter, axis, job});
    }
    crew.each(jobs.size(), [&](std::size_t i, int) { jobs[i].filter->blur(jobs[i].axis, jobs[i].job); });
  }
  crew.each(tiles.count(), [&](std::size_t part, int) {
    for (auto* filter : filters) filter->scatter_ghosts(part);
  });
}

// Filters `count` channels of values (N, channels), starting at `begin`.
template <int W>
void smooth_channels(const Lattice& lattice, const Tiles& tiles, const float* values, float* smooth, std::size_t begin,
                     std::size_t count, std::size_t channels, bool transposed, Crew& crew) {
  Filter<W> filter(lattice);
  std::vector<Filter<W>*> filters = {&filter};
  const auto chunks = [&](std::size_t part, auto&& work) {
    for (std::size_t at = tiles.parts[part]; at < tiles.parts[part + 1]; at += Tiles::chunk)
      work(at, std::min(at + Tiles::chunk, tiles.parts[part + 1]));
  };
  crew.each(tiles.count(), [&](std::size_t part, int) {
    filter.clear(part);
    chunks(part, [&](std::size_t from, std::size_t to) {
      alignas(64) float value[Tiles::chunk * W] = {};
      for (std::size_t place = from; place < to; ++place)
        for (std::size_t c = 0; c < count; ++c)
          value[(place - from) * W + c] = values[tiles.pixels[place] * channels + begin + c];
      filter.splat(part, from, to, value);
    });
  });
  blur_all(filters, tiles, transposed, crew);
  const float gain = gain_of(lattice.order);
  crew.each(tiles.count(), [&](std::size_t part, int) {
    chunks(part, [&](std::size_t from, std::size_t to) {
      alignas(64) float value[Tiles::chunk * W] = {};
      filter.slice(part, from, to, value, value);
      for (std::size_t place = from; place < to; ++place)
        for (std::size_t c = 0; c < count; ++c)
          smooth[tiles.pixels[place] * channels + begin + c] = gain * value[(place - from) * W + c];
    });
  });
}

}  // namespace hsn
