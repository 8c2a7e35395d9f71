// One compute thread per environment, with a queue. libtorch's OpenMP team and grad mode belong to the thread
// that uses them, so all tasks of an environment run on the same one, and the libuv pool stays free.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "../task.h"

namespace cortune {

class ComputeThread {
 public:
  ComputeThread();
  ~ComputeThread() { stop(); }

  // Cancels what runs and what waits, and waits for the thread to end. What is submitted afterwards never
  // runs.
  void stop();

  void submit(std::shared_ptr<Task> task, std::function<void()> work);
  void set_threads(int threads);
  // How many compute now.
  int threads();

 private:
  struct Item {
    std::shared_ptr<Task> task;
    std::function<void()> work;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::shared_ptr<Task> current_;
  int threads_ = 0;  // 0: libtorch's default
  bool stopping_ = false;
  std::thread thread_;  // last: starts when all else stands
};

}  // namespace cortune
