// Kernels: the lattice of a term, including weight and normalization. The last position kernel is cached.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "crew.h"
#include "filter.h"
#include "lattice.h"
#include "memory.h"
#include "points.h"
#include "tiles.h"

namespace hsn {

enum class Normalisation { symmetric, before, after, none };

struct Term {
  Points points;
  Radix radix;
  float weight;
};

// Weight and normalization are multiplied into the barycentric weights: an iteration consists of splat, blur and
// slice.
struct Kernel {
  Lattice lattice;
  Buffer<float> before;  // (N,) additional factor of the splat, if the normalization is not symmetric

  std::size_t bytes() const { return lattice.bytes() + before.size() * sizeof(float); }
};

// Calls work(begin, end) with the positions of each chunk of a part.
template <class Work>
void each_chunk(const Tiles& tiles, std::size_t part, const Work& work) {
  for (std::size_t at = tiles.parts[part]; at < tiles.parts[part + 1]; at += Tiles::chunk)
    work(at, std::min(at + Tiles::chunk, tiles.parts[part + 1]));
}

// K 1, before the slice.
inline void smooth_ones(Filter<1>& filter, const Tiles& tiles, Crew& crew) {
  const std::vector<float> ones(Tiles::chunk, 1.0f);
  crew.each(tiles.count(), [&](std::size_t part, int) {
    filter.clear(part);
    each_chunk(tiles, part, [&](std::size_t begin, std::size_t end) { filter.splat(part, begin, end, ones.data()); });
  });
  std::vector<Filter<1>*> filters = {&filter};
  blur_all(filters, tiles, false, crew);
}

// The lattice of a term, and the factors D of K̃ = D K D (or of K D, D K) in its weights.
inline Kernel kernel_of(const Term& term, Normalisation kind, const Tiles& tiles, Crew& crew) {
  constexpr float tiny = 1e-20f;  // keeps a pixel without neighbors finite
  Kernel kernel{Lattice(term.points, term.radix, tiles, crew), {}};
  Filter<1> filter(kernel.lattice);
  if (kind != Normalisation::none) smooth_ones(filter, tiles, crew);
  if (kind == Normalisation::before || kind == Normalisation::after) kernel.before = Buffer<float>(tiles.pixels.size());
  const auto order = static_cast<std::size_t>(kernel.lattice.order);
  const float scale = gain_of(kernel.lattice.order), root = std::sqrt(term.weight * scale);
  crew.each(tiles.count(), [&](std::size_t part, int) {
    each_chunk(tiles, part, [&](std::size_t begin, std::size_t end) {
      float mass[Tiles::chunk] = {};
      if (kind != Normalisation::none) filter.slice(part, begin, end, mass, mass);
      for (std::size_t place = begin; place < end; ++place) {
        const float sum = mass[place - begin] * scale + tiny;
        const float factor = kind == Normalisation::symmetric ? 1.0f / std::sqrt(sum)
                             : kind == Normalisation::after   ? 1.0f / sum
                                                              : 1.0f;
        if (kind == Normalisation::before) kernel.before[place] = 1.0f / sum;
        if (kind == Normalisation::after) kernel.before[place] = sum;
        for (std::size_t r = 0; r < order; ++r) kernel.lattice.weights[place * order + r] *= root * factor;
      }
    });
  });
  return kernel;
}

// The position kernel is equal for all images of one size: the kernel of the last call is cached.
class PlaceKernel {
 public:
  // One per process, never destroyed, like the pool.
  static PlaceKernel& shared() {
    static PlaceKernel* kept = new PlaceKernel;
    return *kept;
  }

  std::shared_ptr<const Kernel> get(const Term& term, Normalisation kind, const Tiles& tiles, Crew& crew) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (kernel_ && same(term, term_) && kind == kind_) return kernel_;
      kernel_.reset();  // before the next one is built, to limit the peak memory
    }
    auto kernel = std::make_shared<const Kernel>(kernel_of(term, kind, tiles, crew));
    std::lock_guard<std::mutex> lock(mutex_);
    if (kernel->bytes() > most) return kernel;
    term_ = term;
    kind_ = kind;
    return kernel_ = kernel;
  }

  void release() {
    std::lock_guard<std::mutex> lock(mutex_);
    kernel_.reset();
  }

 private:
  static constexpr std::size_t most = 64u << 20;  // bytes: enough for about 1500 x 1500 pixels

  static bool same(const Term& a, const Term& b) {
    const Points &p = a.points, &q = b.points;
    return p.height == q.height && p.width == q.width && p.top == q.top && p.left == q.left &&
           p.spread_px == q.spread_px && a.weight == b.weight && a.radix == b.radix;
  }

  std::mutex mutex_;
  std::shared_ptr<const Kernel> kernel_;
  Term term_{};
  Normalisation kind_{};
};

inline std::shared_ptr<const Kernel> kernel_for(const Term& term, Normalisation kind, const Tiles& tiles, Crew& crew) {
  if (!term.points.image && !term.points.features) return PlaceKernel::shared().get(term, kind, tiles, crew);
  return std::make_shared<const Kernel>(kernel_of(term, kind, tiles, crew));
}

}  // namespace hsn
