// Sorts keyed rows with several threads: split by sampled keys, then radix sort each range in the cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "crew.h"
#include "memory.h"
#include "table.h"

namespace hsn {

struct Entry {
  Key key;
  std::uint32_t row;
};

// Stable radix sort of [begin, end) by key, eight bits at a time. Bytes that are equal in all keys are skipped.
inline void radix_sort(Entry* begin, Entry* end, Entry* scratch) {
  const std::size_t size = end - begin;
  Key varies = 0;
  for (const Entry* entry = begin; entry != end; ++entry) varies |= entry->key ^ begin->key;
  Entry *from = begin, *to = scratch;
  for (int shift = 0; shift < 64; shift += 8) {
    if (((varies >> shift) & 0xff) == 0) continue;
    std::size_t start[257] = {};
    for (std::size_t i = 0; i < size; ++i) ++start[((from[i].key >> shift) & 0xff) + 1];
    for (int byte = 0; byte < 256; ++byte) start[byte + 1] += start[byte];
    for (std::size_t i = 0; i < size; ++i) to[start[(from[i].key >> shift) & 0xff]++] = from[i];
    std::swap(from, to);
  }
  if (from != begin) std::copy(from, from + size, begin);
}

// Sorts the keys of all parts; rows with equal keys stay in ascending order.
inline Buffer<Entry> sorted_entries(const std::vector<std::vector<Key>>& keys, const std::vector<std::size_t>& first,
                                    Crew& crew) {
  constexpr std::size_t range_size = 1 << 14;  // entries per range, about 256 kB
  const std::size_t parts = keys.size(), ranges = first.back() / range_size + 1;

  std::vector<Key> sample, splitters;
  const std::size_t stride = first.back() / (ranges * 16) + 1;
  for (std::size_t part = 0; part < parts; ++part)
    for (std::size_t i = 0; i < keys[part].size(); i += stride) sample.push_back(keys[part][i]);
  std::sort(sample.begin(), sample.end());
  for (std::size_t range = 1; range < ranges; ++range) splitters.push_back(sample[range * sample.size() / ranges]);
  const auto range_of = [&](Key key) {
    return std::upper_bound(splitters.begin(), splitters.end(), key) - splitters.begin();
  };

  // Start of each part in each range: ranges ascending, and parts ascending within a range.
  std::vector<std::vector<std::size_t>> share(parts, std::vector<std::size_t>(ranges));
  std::vector<std::vector<std::uint32_t>> range(parts);
  crew.each(parts, [&](std::size_t part, int) {
    range[part].reserve(keys[part].size());
    for (Key key : keys[part]) {
      range[part].push_back(static_cast<std::uint32_t>(range_of(key)));
      ++share[part][range[part].back()];
    }
  });
  std::vector<std::size_t> begin(ranges + 1);
  std::size_t sum = 0;
  for (std::size_t r = 0; r < ranges; ++r) {
    begin[r] = sum;
    for (std::size_t part = 0; part < parts; ++part) sum += std::exchange(share[part][r], sum);
  }
  begin[ranges] = sum;

  Buffer<Entry> entries(sum), scratch(sum);
  crew.each(parts, [&](std::size_t part, int) {
    for (std::size_t i = 0; i < keys[part].size(); ++i)
      entries[share[part][range[part][i]]++] = {keys[part][i], static_cast<std::uint32_t>(first[part] + i)};
  });
  crew.each(ranges, [&](std::size_t r, int) {
    radix_sort(entries.data() + begin[r], entries.data() + begin[r + 1], scratch.data() + begin[r]);
  });
  return entries;
}

}  // namespace hsn
