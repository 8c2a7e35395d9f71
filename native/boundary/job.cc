// Opening, reporting and closing jobs on the JavaScript thread.
#include "job.h"

namespace cortune {
namespace {

Napi::Value to_object(Napi::Env env, const Progress& progress) {
  auto object = Napi::Object::New(env);
  object.Set("done", Napi::Number::New(env, static_cast<double>(progress.done)));
  object.Set("total", Napi::Number::New(env, static_cast<double>(progress.total)));
  object.Set("stage", Napi::String::New(env, progress.stage));
  if (!progress.values.empty()) {
    auto values = Napi::Array::New(env, progress.values.size());
    for (size_t i = 0; i < progress.values.size(); ++i)
      values.Set(i, Napi::Number::New(env, progress.values[i]));
    object.Set("values", values);
  }
  return object;
}

// A callback that throws cancels the job, which then rejects with that error.
void deliver_progress(Napi::Env env, OpenJob& job) {
  std::optional<Progress> progress;
  {
    std::lock_guard<std::mutex> lock(job.mutex);
    progress.swap(job.latest);
  }
  if (!progress || job.on_progress.IsEmpty() || !job.thrown.IsEmpty()) return;
  try {
    job.on_progress.Call({to_object(env, *progress)});
  } catch (const Napi::Error& error) {
    auto holder = Napi::Object::New(env);
    holder.Set("error", error.Value());
    job.thrown.Reset(holder, 1);
    job.task->cancel();
  }
}

}  // namespace

std::shared_ptr<OpenJob> open_job(Napi::Env env, Napi::Value on_progress) {
  auto& environment = Environment::of(env);
  auto job = std::shared_ptr<OpenJob>(new OpenJob(env));
  if (on_progress.IsFunction()) {
    job->on_progress.Reset(on_progress.As<Napi::Function>(), 1);
    std::weak_ptr<OpenJob> weak = job;  // the job owns its task, which owns this
    job->task = std::make_shared<Task>([&environment, weak](Progress progress) {
      auto open = weak.lock();
      if (!open) return;
      bool waiting;
      {
        std::lock_guard<std::mutex> lock(open->mutex);
        waiting = open->latest.has_value();
        open->latest = std::move(progress);
      }
      if (!waiting) environment.post([open](Napi::Env js) { deliver_progress(js, *open); });
    });
  } else {
    job->task = std::make_shared<Task>();
  }
  environment.job_opened();
  return job;
}

Napi::Value job_object(Napi::Env env, const std::shared_ptr<OpenJob>& job) {
  auto object = Napi::Object::New(env);
  object.Set("promise", job->deferred.Promise());
  std::shared_ptr<Task> task = job->task;
  object.Set("cancel", Napi::Function::New(env, [task](const Napi::CallbackInfo&) { task->cancel(); }));
  return object;
}

void close_job(Napi::Env env, OpenJob& job, const std::optional<Failure>& failure,
               std::function<Napi::Value()> convert) {
  deliver_progress(env, job);
  Environment::of(env).job_closed();
  job.on_progress.Reset();
  try {
    if (!job.thrown.IsEmpty()) {
      job.deferred.Reject(job.thrown.Get("error"));
      job.thrown.Reset();
    } else if (failure) {
      job.deferred.Reject(to_js(env, *failure).Value());
    } else {
      job.deferred.Resolve(convert());
    }
  } catch (const Napi::Error& error) {
    job.deferred.Reject(error.Value());
  } catch (...) {
    job.deferred.Reject(to_js(env, describe(std::current_exception())).Value());
  }
}

}  // namespace cortune
