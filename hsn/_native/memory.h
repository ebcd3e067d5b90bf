// A large array that is not initialised, and lies on large pages where the system gives them: the kernel reaches
// rows in no order, and with small pages most of that time goes into looking up addresses.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace hsn {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : count_(count) {
    if (count == 0) return;
    if (count > static_cast<std::size_t>(-1) / sizeof(T) - page) throw std::bad_alloc();
    const std::size_t bytes = (count * sizeof(T) + page - 1) / page * page;
    const std::size_t alignment = bytes < large_page ? page : large_page;
    data_ = static_cast<T*>(::operator new(bytes, std::align_val_t(alignment)));
    alignment_ = alignment;
#if defined(__linux__)
    if (alignment == large_page) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: failure costs only time
#endif
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
    if (data_) ::operator delete(data_, std::align_val_t(alignment_));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }

 private:
  static constexpr std::size_t page = 4096;             // bytes
  static constexpr std::size_t large_page = 2u << 20;  // bytes, on x86-64 and on most 64-bit ARM
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    std::swap(alignment_, other.alignment_);
  }
  T* data_ = nullptr;
  std::size_t count_ = 0, alignment_ = page;
};

}  // namespace hsn
