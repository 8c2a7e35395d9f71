// The state of one Node environment (the main thread or a worker): its compute thread, its mailbox to
// JavaScript, its classes.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "compute_thread.h"
#include "napi.h"

namespace cortune {

class Environment {
 public:
  explicit Environment(Napi::Env env);
  static Environment& of(Napi::Env env);

  ComputeThread& compute() { return *compute_; }
  // Runs `letter` on the JavaScript thread; from any thread. Dropped when the environment is going away.
  void post(std::function<void(Napi::Env)> letter);
  // The event loop stays alive while jobs are open. JavaScript thread only.
  void job_opened();
  void job_closed();

  std::map<std::string, Napi::FunctionReference> classes;  // of the handles, by tag

 private:
  static void deliver(napi_env env, napi_value, void*, void* letter);
  static void tear_down(void* self);
  void stop_at_exit(Napi::Env env);

  napi_env env_;
  napi_threadsafe_function mailbox_ = nullptr;
  std::unique_ptr<ComputeThread> compute_;
  int open_jobs_ = 0;
};

}  // namespace cortune
