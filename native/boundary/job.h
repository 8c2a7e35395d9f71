// A long call as JavaScript sees it: `{promise, cancel}`. The work runs on the compute thread and knows
// nothing of Node; its plain result is converted on the JavaScript thread. Progress never blocks the work:
// the newest report wins.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "environment.h"
#include "errors.h"
#include "napi.h"

namespace cortune {

// What one open job holds on the JavaScript side.
struct OpenJob {
  // A letter may be dropped, and the job destroyed, when the environment is already going away or on the
  // compute thread: the references are given up in close_job, never by destructors.
  explicit OpenJob(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {
    on_progress.SuppressDestruct();
    thrown.SuppressDestruct();
  }
  Napi::Promise::Deferred deferred;
  Napi::FunctionReference on_progress;
  Napi::ObjectReference thrown;  // {error: what a progress callback threw}
  std::shared_ptr<Task> task;

  std::mutex mutex;
  std::optional<Progress> latest;  // not yet delivered
};

std::shared_ptr<OpenJob> open_job(Napi::Env env, Napi::Value on_progress);
Napi::Value job_object(Napi::Env env, const std::shared_ptr<OpenJob>& job);
void close_job(Napi::Env env, OpenJob& job, const std::optional<Failure>& failure,
               std::function<Napi::Value()> convert);

// Work: Result(const Task&). Convert: Napi::Value(Napi::Env, Result).
template <typename Work, typename Convert>
Napi::Value start_job(Napi::Env env, Napi::Value on_progress, Work work, Convert convert) {
  using Result = std::invoke_result_t<Work, const Task&>;
  auto job = open_job(env, on_progress);
  auto& environment = Environment::of(env);
  environment.compute().submit(job->task, [&environment, job, work = std::move(work), convert]() mutable {
    std::optional<Failure> failure;
    std::shared_ptr<Result> result;
    try {
      job->task->check();
      result = std::make_shared<Result>(work(*job->task));
    } catch (...) {
      failure = describe(std::current_exception());
    }
    environment.post([job = std::move(job), failure, result, convert](Napi::Env js) {
      close_job(js, *job, failure, [&] { return convert(js, std::move(*result)); });
    });
  });
  return job_object(env, job);
}

// For jobs without a result.
struct Nothing {};
inline Napi::Value to_undefined(Napi::Env env, Nothing) { return env.Undefined(); }

}  // namespace cortune
