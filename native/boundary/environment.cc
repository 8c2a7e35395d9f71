// Mailbox and teardown of one environment.
#include "environment.h"

#include "errors.h"

namespace cortune {

using Letter = std::function<void(Napi::Env)>;

Environment::Environment(Napi::Env env) : env_(env), compute_(std::make_unique<ComputeThread>()) {
  napi_value name = Napi::String::New(env, "cortune");
  const auto status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                                      nullptr, &Environment::deliver, &mailbox_);
  if (status != napi_ok) throw Napi::Error::New(env, "Could not create the mailbox of the compute thread.");
  napi_unref_threadsafe_function(env, mailbox_);
  // Hooks run last in, first out: added after the mailbox, ours runs before the mailbox's own, so the compute
  // thread has ended before anything it may still post to goes away.
  napi_add_env_cleanup_hook(env, &Environment::tear_down, this);
  stop_at_exit(env);
}

// process.exit runs no cleanup hook before the C++ runtime takes its static objects apart, oneDNN's compiled
// kernels among them, which the compute thread may be running: it must have ended by then.
void Environment::stop_at_exit(Napi::Env env) {
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto stop = Napi::Function::New(env, [this](const Napi::CallbackInfo&) {
    if (compute_) compute_->stop();
  });
  process.Get("once").As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), stop});
}

Environment& Environment::of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

void Environment::post(Letter letter) {
  auto* boxed = new Letter(std::move(letter));
  if (napi_call_threadsafe_function(mailbox_, boxed, napi_tsfn_nonblocking) != napi_ok) delete boxed;
}

void Environment::deliver(napi_env env, napi_value, void*, void* letter) {
  std::unique_ptr<Letter> boxed(static_cast<Letter*>(letter));
  if (env == nullptr) return;  // the environment is going away
  Napi::HandleScope scope(env);
  // Nothing may be thrown into Node from here. While a worker is being terminated every call into JavaScript
  // fails, also the one that would hand over the error: then there is nobody left to tell.
  try {
    try {
      (*boxed)(Napi::Env(env));
    } catch (const Napi::Error& error) {
      error.ThrowAsJavaScriptException();
    } catch (...) {
      to_js(env, describe(std::current_exception())).ThrowAsJavaScriptException();
    }
  } catch (...) {
  }
}

void Environment::job_opened() {
  if (open_jobs_++ == 0) napi_ref_threadsafe_function(env_, mailbox_);
}

void Environment::job_closed() {
  if (--open_jobs_ == 0) napi_unref_threadsafe_function(env_, mailbox_);
}

void Environment::tear_down(void* self) {
  auto* environment = static_cast<Environment*>(self);
  environment->compute_.reset();
  napi_release_threadsafe_function(environment->mailbox_, napi_tsfn_abort);
}

}  // namespace cortune
