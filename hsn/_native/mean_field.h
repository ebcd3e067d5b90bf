// Mean-field inference in the dense CRF: Q <- softmax(-U + Σ_m w_m K̃_m Q), with one pass over the pixels per iteration.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "crew.h"
#include "filter.h"
#include "kernel.h"
#include "memory.h"
#include "softmax.h"
#include "tiles.h"

namespace hsn {

struct Problem {
  const float* probabilities;          // (N, classes)
  float* marginals;                    // (N, classes), 0 for absent classes
  std::size_t height, width, classes;
  std::vector<std::size_t> present;    // present classes
  std::vector<Term> terms;
  Normalisation normalization;
  std::vector<float> penalties;        // (present, present), or empty for Potts
  float least;                         // lower bound of the probabilities
  int iterations;
  float tolerance;                     // stops if no marginal changes by this much; 0 does not stop early
};

template <int W>
class MeanField {
 public:
  MeanField(const Problem& problem, const std::vector<std::shared_ptr<const Kernel>>& kernels, const Tiles& tiles, Crew& crew)
      : problem_(problem), kernels_(kernels), tiles_(tiles), crew_(crew), with_reference_(problem.penalties.empty()),
        evidence_(tiles.pixels.size() * W) {
    for (const auto& kernel : kernels) {
      owned_.push_back(std::make_unique<Filter<W>>(kernel->lattice));
      filters_.push_back(owned_.back().get());
    }
    std::size_t largest_part = 0;
    for (std::size_t part = 0; part < tiles.count(); ++part)
      largest_part = std::max(largest_part, tiles.parts[part + 1] - tiles.parts[part]);
    for (int worker = 0; worker < crew.size(); ++worker) marginals_.emplace_back(largest_part * W);
    if (problem.tolerance > 0) {
      previous_ = Buffer<float>(tiles.pixels.size() * W);
      previous_reference_ = Buffer<float>(tiles.pixels.size());
      std::fill(previous_.begin(), previous_.end(), 0.0f);
      std::fill(previous_reference_.begin(), previous_reference_.end(), 0.0f);
    }
  }

  void run() {
    crew_.each(tiles_.count(), [&](std::size_t part, int) { read(part); });
    for (int iteration = 0; iteration <= problem_.iterations; ++iteration) {
      const bool last = iteration == problem_.iterations;
      std::vector<float> changes(tiles_.count());
      crew_.each(tiles_.count(), [&](std::size_t part, int worker) {
        changes[part] = update(part, marginals_[worker].data(), iteration > 0, last);
        if (!last) spread(part, marginals_[worker].data());
      });
      if (last) break;
      if (iteration && *std::max_element(changes.begin(), changes.end()) < problem_.tolerance) {
        crew_.each(tiles_.count(), [&](std::size_t part, int) {
          const std::size_t begin = tiles_.parts[part];
          write(&previous_[begin * W], &previous_reference_[begin], begin, tiles_.parts[part + 1] - begin);
        });
        break;
      }
      blur_all(filters_, tiles_, false, crew_);
    }
  }

 private:
  static constexpr float nothing = -1e4f;  // logit of a lane without a class

  // ln p of each class, minus that of the first class if it is the reference.
  void read(std::size_t part) {
    const std::size_t skip = with_reference_, classes = problem_.present.size(), used = classes - skip;
    const float least = problem_.least;
    alignas(64) float logs[Tiles::chunk * (W + 1)];  // (chunk, classes)
    each_chunk(tiles_, part, [&](std::size_t begin, std::size_t end) {
      const std::size_t count = end - begin;
      gather(begin, count, logs);
      for (std::size_t i = 0; i < count * classes; ++i) logs[i] = log_of(clip(logs[i], least));
      for (std::size_t pixel = 0; pixel < count; ++pixel) {
        const float* log = logs + pixel * classes;
        const float first = with_reference_ ? log[0] : 0.0f;
        float* evidence = &evidence_[(begin + pixel) * W];
        for (std::size_t c = 0; c < W; ++c) evidence[c] = c < used ? log[c + skip] - first : nothing;
      }
    });
  }

  // Probabilities of the present classes. Consecutive pixels of the image are copied together.
  void gather(std::size_t begin, std::size_t count, float* probabilities) const {
    const std::size_t classes = problem_.present.size();
    const std::uint32_t* pixels = &tiles_.pixels[begin];
    for (std::size_t pixel = 0, run; pixel < count; pixel += run, probabilities += run * classes) {
      const float* from = problem_.probabilities + problem_.classes * pixels[pixel];
      run = 1;
      if (classes < problem_.classes) {
        for (std::size_t k = 0; k < classes; ++k) probabilities[k] = from[problem_.present[k]];
        continue;
      }
      while (pixel + run < count && pixels[pixel + run] == pixels[pixel] + run) ++run;
      std::memcpy(probabilities, from, run * classes * sizeof(float));
    }
  }

  // Slice and softmax of the pixels of a part. Returns the largest change.
  float update(std::size_t part, float* marginals, bool with_messages, bool last) {
    float change = 0, reference[Tiles::chunk];
    for (std::size_t begin = tiles_.parts[part]; begin < tiles_.parts[part + 1]; begin += Tiles::chunk) {
      const std::size_t end = std::min(begin + Tiles::chunk, tiles_.parts[part + 1]), count = end - begin;
      float* q = marginals + (begin - tiles_.parts[part]) * W;
      const float* evidence = &evidence_[begin * W];
      if (with_messages) receive(part, begin, end, evidence, q);
      if (!with_messages || filters_.empty()) std::memcpy(q, evidence, count * W * sizeof(float));
      softmax<W>(q, count, with_reference_, !last, reference);
      if (last)
        write(q, reference, begin, count);
      else if (problem_.tolerance > 0)
        change = std::max(change, remember(q, reference, begin, count));
    }
    return change;
  }

  // Logits: unary terms plus messages.
  void receive(std::size_t part, std::size_t begin, std::size_t end, const float* evidence, float* logits) {
    static const float zeros[Tiles::chunk * W] = {};
    const float* start = with_reference_ ? evidence : zeros;
    for (auto* filter : filters_) filter->slice(part, begin, end, std::exchange(start, logits), logits);
    if (!with_reference_ && !filters_.empty()) penalise(logits, evidence, end - begin);
  }

  // The splat of the next iteration. Each part has its own rows: they can be overwritten while others are read.
  void spread(std::size_t part, const float* marginals) {
    alignas(64) float scaled[Tiles::chunk * W];
    for (std::size_t k = 0; k < filters_.size(); ++k) {
      filters_[k]->clear(part);
      const Buffer<float>& before = kernels_[k]->before;
      for (std::size_t begin = tiles_.parts[part]; begin < tiles_.parts[part + 1]; begin += Tiles::chunk) {
        const std::size_t end = std::min(begin + Tiles::chunk, tiles_.parts[part + 1]);
        const float* q = marginals + (begin - tiles_.parts[part]) * W;
        for (std::size_t i = 0; before.size() && i < (end - begin) * W; ++i) scaled[i] = q[i] * before[begin + i / W];
        filters_[k]->splat(part, begin, end, before.size() ? scaled : q);
      }
    }
  }

  // logits = unary - penalties · messages.
  void penalise(float* messages, const float* evidence, std::size_t count) const {
    const std::size_t classes = problem_.present.size();
    for (std::size_t pixel = 0; pixel < count; ++pixel) {
      float logit[W];
      std::memcpy(logit, evidence + pixel * W, sizeof logit);
      for (std::size_t c = 0; c < classes; ++c)
        for (std::size_t other = 0; other < classes; ++other)
          logit[c] -= problem_.penalties[c * classes + other] * messages[pixel * W + other];
      std::memcpy(messages + pixel * W, logit, sizeof logit);
    }
  }

  // The largest change since the previous iteration; `q` is relative to the reference.
  float remember(const float* q, const float* reference, std::size_t begin, std::size_t count) {
    float change = 0;
    const auto exchange = [&](float& previous, float now) { change = std::max(change, std::abs(now - std::exchange(previous, now))); };
    for (std::size_t i = 0; i < count * W; ++i) exchange(previous_[begin * W + i], q[i] + reference[i / W]);
    for (std::size_t i = 0; i < count; ++i) exchange(previous_reference_[begin + i], reference[i]);
    return change;
  }

  void write(const float* q, const float* reference, std::size_t begin, std::size_t count) {
    const std::size_t skip = with_reference_;
    for (std::size_t pixel = 0; pixel < count; ++pixel) {
      float* marginal = problem_.marginals + problem_.classes * tiles_.pixels[begin + pixel];
      if (skip) marginal[problem_.present[0]] = reference[pixel];
      for (std::size_t c = skip; c < problem_.present.size(); ++c)
        marginal[problem_.present[c]] = q[pixel * W + c - skip];
    }
  }

  const Problem& problem_;
  const std::vector<std::shared_ptr<const Kernel>>& kernels_;
  const Tiles& tiles_;
  Crew& crew_;
  bool with_reference_;
  Buffer<float> evidence_;  // (N, W)
  Buffer<float> previous_, previous_reference_;  // (N, W) and (N), only with a tolerance
  std::vector<std::unique_ptr<Filter<W>>> owned_;
  std::vector<Filter<W>*> filters_;
  std::vector<Buffer<float>> marginals_;  // of a part, one per worker
};

}  // namespace hsn
