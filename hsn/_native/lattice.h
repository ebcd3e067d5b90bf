// The permutohedral lattice of an image: rows of each pixel, and neighbors of each row.
//
// Rows belong to parts of the image. Each part numbers its corners from 0: parts are built in parallel, and the rows of
// a part are contiguous. A corner of several parts has a row in each. The first part owns it; the others hold ghosts.
// Ghosts are added to the owner after the splat and copied from it after the blur.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "crew.h"
#include "embed.h"
#include "memory.h"
#include "points.h"
#include "sort.h"
#include "table.h"
#include "tiles.h"

namespace hsn {

struct Ghost {
  std::uint32_t row, owner;
};

// Along one axis, neighboring rows form chains. Items are 2 * row + (1 at the end of a chain). Rows without neighbors
// are not in a chain: the blur does not change them.
struct Chains {
  std::vector<std::uint32_t> items;
  std::vector<std::size_t> cuts;  // starts of chains; two consecutive cuts bound one job
};

// Cache of recent corners, one per slot: most lookups succeed here.
class Recent {
 public:
  Recent() : slots_(std::size_t{1} << bits, Slot{0, nobody}) {}

  struct Slot {
    Key key;
    std::uint32_t row;
  };
  Slot& at(Key key) { return slots_[hash(key) >> (64 - bits)]; }

 private:
  static constexpr int bits = 12;  // 64 kB: fits the cache
  std::vector<Slot> slots_;
};

class Lattice {
 public:
  Lattice(const Points& points, const Radix& radix, const Tiles& tiles, Crew& crew)
      : order(radix.order), local(points.size() * order), weights(points.size() * order), first(tiles.count() + 1) {
    std::vector<std::vector<Key>> keys(tiles.count());
    crew.each(tiles.count(), [&](std::size_t part, int) {
      const std::size_t begin = tiles.parts[part], end = tiles.parts[part + 1];
      if (order == 3) return meet<3>(points, radix, tiles, begin, end, keys[part]);
      if (order == 6) return meet<6>(points, radix, tiles, begin, end, keys[part]);
      meet<0>(points, radix, tiles, begin, end, keys[part]);
    });
    for (std::size_t part = 0; part < tiles.count(); ++part) first[part + 1] = first[part] + keys[part].size();
    link(radix, keys, crew);
  }

  std::size_t rows() const { return first.back(); }
  std::size_t bytes() const {
    std::size_t sum = local.size() * sizeof(std::uint32_t) + weights.size() * sizeof(float);
    for (const Chains& axis : chains) sum += axis.items.size() * sizeof(std::uint32_t);
    return sum;  // the rest is small
  }

  int order;                      // d + 1
  Buffer<std::uint32_t> local;    // (N, order) row of each corner, relative to the first row of its part
  Buffer<float> weights;          // (N, order) barycentric, in the pixel order of `Tiles`
  std::vector<std::size_t> first;  // first row of each part, and the end
  std::vector<std::vector<Ghost>> ghosts;  // by owner part
  std::vector<Chains> chains;              // by axis

 private:
  static constexpr std::size_t job_items = 1 << 14;

  // Embeds the pixels of a part and numbers their corners.
  template <int Order>
  void meet(const Points& points, const Radix& radix, const Tiles& tiles, std::size_t begin, std::size_t end,
            std::vector<Key>& keys) {
    Embedding<Order> embedding(points, radix);
    Table table((end - begin) / 4);
    Recent recent;
    Key corner[lanes][Embedding<Order>::room];
    std::uint32_t missed[lanes * Embedding<Order>::room];
    const std::size_t order = embedding.order();
    std::uint32_t pixels[lanes];
    for (std::size_t place = begin; place < end; place += lanes) {
      const std::size_t count = std::min<std::size_t>(lanes, end - place);
      for (std::size_t l = 0; l < lanes; ++l) pixels[l] = tiles.pixels[place + std::min(l, count - 1)];
      embedding(pixels);
      std::uint32_t* rows = &local[place * order];
      // No data-dependent branch: a misprediction costs more than the lookup.
      std::size_t misses = 0;
      for (std::size_t l = 0; l < count; ++l) {
        for (std::size_t r = 0; r < order; ++r) weights[(place + l) * order + r] = embedding.weight[r][l];
        embedding.corners(static_cast<int>(l), corner[l]);
        for (std::size_t r = 0; r < order; ++r) {
          const Recent::Slot& slot = recent.at(corner[l][r]);
          rows[l * order + r] = slot.row;
          missed[misses] = static_cast<std::uint32_t>(l * order + r);
          misses += slot.key != corner[l][r] || slot.row == nobody;
        }
      }
      for (std::size_t i = 0; i < misses; ++i) table.prefetch(corner[missed[i] / order][missed[i] % order]);
      for (std::size_t i = 0; i < misses; ++i) {
        const Key key = corner[missed[i] / order][missed[i] % order];
        recent.at(key) = {key, rows[missed[i]] = number(key, table, keys)};
      }
    }
  }

  // Returns the row of a corner; a new corner gets the next number.
  static std::uint32_t number(Key corner, Table& table, std::vector<Key>& keys) {
    const auto next = static_cast<std::uint32_t>(keys.size());
    const std::uint32_t row = table.insert(corner, next);
    if (row == next) keys.push_back(corner);
    return row;
  }

  // Finds owners, ghosts and neighbors from the sorted keys: equal keys are adjacent, and the neighbors of ascending
  // keys ascend too.
  void link(const Radix& radix, const std::vector<std::vector<Key>>& keys, Crew& crew) {
    Buffer<Entry> entries = sorted_entries(keys, first, crew);
    ghosts.resize(keys.size());
    std::size_t owners = 0;
    for (const Entry& entry : entries) {
      if (owners && entries[owners - 1].key == entry.key) {
        const std::uint32_t owner = entries[owners - 1].row;
        const auto part = std::upper_bound(first.begin(), first.end(), owner) - first.begin() - 1;
        ghosts[part].push_back({entry.row, owner});
      } else {
        entries[owners++] = entry;
      }
    }
    crew.each(ghosts.size(), [&](std::size_t part, int) {
      std::sort(ghosts[part].begin(), ghosts[part].end(), [](const Ghost& a, const Ghost& b) { return a.row < b.row; });
    });
    chains.resize(order);
    crew.each(order, [&](std::size_t axis, int) {
      chains[axis] = follow(neighbours(entries.data(), entries.data() + owners, radix.step(static_cast<int>(axis))));
    });
  }

  // For each row: the neighbor one step along an axis, or nobody; and whether it is a neighbor itself.
  struct Neighbours {
    Buffer<std::uint32_t> next;
    Buffer<bool> inner;
  };

  // Intersects the sorted keys with themselves, shifted by one step. No branch depends on the keys: which list advances
  // is unpredictable.
  Neighbours neighbours(const Entry* begin, const Entry* end, Key step) const {
    const auto nowhere = static_cast<std::uint32_t>(rows());  // an additional slot for keys that are not found
    Neighbours found{Buffer<std::uint32_t>(nowhere + 1), Buffer<bool>(nowhere + 1)};
    std::fill(found.next.begin(), found.next.end(), nobody);
    std::fill(found.inner.begin(), found.inner.end(), false);
    const Entry *here = begin, *there = begin;
    while (here != end && there != end) {
      // Signed: neighbors of the first keys can be below zero; they do not exist.
      const auto wanted = static_cast<std::int64_t>(here->key + step), met = static_cast<std::int64_t>(there->key);
      const std::uint32_t not_before = wanted <= met, not_after = met <= wanted;
      const std::uint32_t same = 0u - (not_before & not_after);  // all bits set, or none
      found.next[nowhere ^ ((here->row ^ nowhere) & same)] = there->row;
      found.inner[nowhere ^ ((there->row ^ nowhere) & same)] = true;
      here += not_before;
      there += not_after;
    }
    return found;
  }

  // Converts neighbors to chains of two or more rows.
  static Chains follow(const Neighbours& found) {
    const std::uint32_t* next = found.next.data();
    const bool* inner = found.inner.data();
    const std::size_t rows = found.next.size() - 1;
    Buffer<std::uint32_t> heads(rows + 1);
    std::size_t count = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      heads[count] = static_cast<std::uint32_t>(row);
      count += (next[row] != nobody) & !inner[row];
    }
    Chains chains;
    Buffer<std::uint32_t> items(rows);
    std::size_t used = 0;
    chains.cuts.push_back(0);
    for (std::size_t head = 0; head < count; ++head) {
      std::uint32_t at = heads[head];
      for (; next[at] != nobody; at = next[at]) items[used++] = 2 * at;
      items[used++] = 2 * at + 1;
      if (used - chains.cuts.back() >= job_items) chains.cuts.push_back(used);
    }
    if (used > chains.cuts.back()) chains.cuts.push_back(used);
    chains.items.assign(items.data(), items.data() + used);
    return chains;
  }
};

}  // namespace hsn
