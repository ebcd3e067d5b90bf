// A hash table from lattice points to rows: open addressing, linear probing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace hsn {

using Key = std::uint64_t;
constexpr std::uint32_t nobody = 0xffffffffu;

// Fibonacci hashing: the golden ratio spreads keys that differ by small steps.
inline std::uint64_t hash(Key key) { return key * 0x9e3779b97f4a7c15u; }

class Table {
 public:
  // Reserves space for `expected` keys.
  explicit Table(std::size_t expected) {
    while ((std::size_t{1} << bits_) < 2 * expected) ++bits_;
    clear();
  }

  void prefetch(Key key) const {
#if defined(__GNUC__)
    __builtin_prefetch(&slots_[place(key)]);
#else
    (void)key;
#endif
  }

  std::uint32_t find(Key key) const {
    for (std::size_t i = place(key);; i = (i + 1) & mask()) {
      if (slots_[i].row == nobody || slots_[i].key == key) return slots_[i].row;
    }
  }

  // Returns the row of a key; a new key gets `row`.
  std::uint32_t insert(Key key, std::uint32_t row) {
    for (std::size_t i = place(key);; i = (i + 1) & mask()) {
      if (slots_[i].row == nobody) {
        slots_[i] = {key, row};
        if (2 * ++used_ > slots_.size()) grow();
        return row;
      }
      if (slots_[i].key == key) return slots_[i].row;
    }
  }

 private:
  struct Slot {
    Key key;
    std::uint32_t row;
  };

  std::size_t place(Key key) const { return hash(key) >> (64 - bits_); }
  std::size_t mask() const { return slots_.size() - 1; }
  void clear() {
    slots_ = Buffer<Slot>(std::size_t{1} << bits_);
    for (Slot& slot : slots_) slot.row = nobody;
    used_ = 0;
  }
  void grow() {
    Buffer<Slot> old = std::move(slots_);
    ++bits_;
    clear();
    for (const Slot& slot : old)
      if (slot.row != nobody) insert(slot.key, slot.row);
  }

  int bits_ = 10;
  std::size_t used_ = 0;
  Buffer<Slot> slots_;
};

}  // namespace hsn
