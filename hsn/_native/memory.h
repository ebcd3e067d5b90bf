// Large arrays: not initialized, on large pages if available, and reused by the next call.
//
// The kernel accesses rows in random order; with small pages, address translation takes much of the time. The system
// zeroes a new page at its first access, which for an image takes as long as an iteration.
#pragma once

#include <cstddef>
#include <deque>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace hsn {

// Released blocks, oldest first, with at most `most` bytes.
class Pool {
 public:
  static constexpr std::size_t page = 2u << 20;  // bytes of a large page, on x86-64 and on most 64-bit ARM

  // One per process. It is never destroyed: threads can outlive static objects.
  static Pool& shared() {
    static Pool* pool = new Pool;
    return *pool;
  }

  // Returns a block of at least `bytes`, and sets `bytes` to its size.
  void* take(std::size_t& bytes) {
    bytes = (bytes + page - 1) / page * page;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
        if (block->bytes < bytes || block->bytes / 5 * 4 > bytes) continue;
        void* data = block->data;
        held_ -= bytes = block->bytes;
        blocks_.erase(block);
        return data;
      }
    }
    void* data = ::operator new(bytes, std::align_val_t(page));
#if defined(__linux__)
    madvise(data, bytes, MADV_HUGEPAGE);  // a hint: failure costs only time
#endif
    return data;
  }

  void give(void* data, std::size_t bytes) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    try {
      blocks_.push_back({data, bytes});
    } catch (...) {
      return ::operator delete(data, std::align_val_t(page));
    }
    held_ += bytes;
    keep(most);
  }

  void release() {
    std::lock_guard<std::mutex> lock(mutex_);
    keep(0);
  }

 private:
  static constexpr std::size_t most = 256u << 20;
  struct Block {
    void* data;
    std::size_t bytes;
  };
  void keep(std::size_t bytes) noexcept {
    while (held_ > bytes) {
      ::operator delete(blocks_.front().data, std::align_val_t(page));
      held_ -= blocks_.front().bytes;
      blocks_.pop_front();
    }
  }
  std::mutex mutex_;
  std::deque<Block> blocks_;
  std::size_t held_ = 0;
};

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : count_(count), bytes_(count * sizeof(T)) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T) - Pool::page) throw std::bad_alloc();
    if (count == 0) return;
    data_ = static_cast<T*>(large() ? Pool::shared().take(bytes_) : ::operator new(bytes_, std::align_val_t(line)));
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (!data_) return;
    if (large())
      Pool::shared().give(data_, bytes_);
    else
      ::operator delete(data_, std::align_val_t(line));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }

 private:
  static constexpr std::size_t line = 64;  // bytes of a cache line
  bool large() const { return bytes_ >= Pool::page; }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    std::swap(bytes_, other.bytes_);
  }
  T* data_ = nullptr;
  std::size_t count_ = 0, bytes_ = 0;
};

}  // namespace hsn
