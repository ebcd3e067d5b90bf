// A pool of threads that runs numbered jobs. The assignment of jobs to threads is random. Jobs must not depend on it:
// results are then equal for any number of threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace hsn {

class Crew {
 public:
  explicit Crew(int size) {
    try {
      for (int i = 1; i < size; ++i) threads_.emplace_back([this, i] { serve(i); });
    } catch (const std::system_error&) {
      // No more threads are available: continue with the existing ones.
    }
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    start_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Runs job(i, worker) for all i below `count`, and returns when all are finished. `worker` is the number of the
  // thread, for scratch memory. The first exception is rethrown.
  template <class Job>
  void each(std::size_t count, Job&& job) {
    if (threads_.empty() || count < 2) {
      for (std::size_t i = 0; i < count; ++i) job(i, 0);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = std::ref(job);
      count_ = count;
      next_ = 0;
      busy_ = threads_.size();
      ++round_;
    }
    start_.notify_all();
    work(0);
    for (int spin = 0; spin < spins && busy_.load(std::memory_order_acquire); ++spin) std::this_thread::yield();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_.load() == 0; });
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  static constexpr int spins = 500;  // about ten microseconds: shorter than suspending a thread

  void serve(int worker) {
    for (unsigned long seen = 0;;) {
      for (int spin = 0; spin < spins && round_.load(std::memory_order_acquire) == seen && !over_; ++spin)
        std::this_thread::yield();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        start_.wait(lock, [&] { return over_ || round_.load() != seen; });
        if (over_) return;
        seen = round_;
      }
      work(worker);
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        done_.notify_one();
      }
    }
  }

  void work(int worker) {
    for (std::size_t i; (i = next_.fetch_add(1)) < count_;) {
      try {
        job_(i, worker);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
      }
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  std::function<void(std::size_t, int)> job_;
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_{0}, busy_{0};
  std::atomic<unsigned long> round_{0};
  std::atomic<bool> over_{false};
  std::exception_ptr failure_;
};

}  // namespace hsn
