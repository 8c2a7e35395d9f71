// The loop of the compute thread.
#include "compute_thread.h"

#include <ATen/Parallel.h>

#include "../ops/allocator.h"

namespace cortune {

ComputeThread::ComputeThread() : thread_([this] { run(); }) {}

void ComputeThread::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (current_) current_->cancel();
    for (auto& item : queue_) item.task->cancel();
    queue_.clear();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ComputeThread::submit(std::shared_ptr<Task> task, std::function<void()> work) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back({std::move(task), std::move(work)});
  }
  wake_.notify_one();
}

void ComputeThread::set_threads(int threads) {
  std::lock_guard<std::mutex> lock(mutex_);
  threads_ = threads;
}

int ComputeThread::threads() {
  std::lock_guard<std::mutex> lock(mutex_);
  return threads_ > 0 ? threads_ : at::get_num_threads();
}

void ComputeThread::run() {
  int threads_set = 0;
  for (;;) {
    Item item;
    int threads;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      item = std::move(queue_.front());
      queue_.pop_front();
      current_ = item.task;
      threads = threads_;
    }
    if (threads != threads_set && threads > 0) {
      at::set_num_threads(threads);
      threads_set = threads;
    }
    {
      at::NoGradGuard no_grad;  // a task that trains turns gradients on itself
      item.work();              // catches all it throws
    }
    item = {};  // frees what the task held before it is said to be over
    std::lock_guard<std::mutex> lock(mutex_);
    current_.reset();
    if (queue_.empty()) release_held_memory();
  }
}

}  // namespace cortune
