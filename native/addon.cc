// The module's entry: makes the environment's state and exports every area.
#include "boundary/bindings.h"
#include "boundary/environment.h"
#include "ops/allocator.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  cortune::use_reusing_allocator();
  env.SetInstanceData(new cortune::Environment(env));
  cortune::export_info(env, exports);
  cortune::export_tensor(env, exports);
  cortune::export_io(env, exports);
  cortune::export_model(env, exports);
  cortune::export_embed(env, exports);
  cortune::export_probe(env, exports);
  cortune::export_generate(env, exports);
  cortune::export_tune(env, exports);
  cortune::export_encode(env, exports);
  cortune::export_analysis(env, exports);
  return exports;
}

NODE_API_MODULE(cortune, init)
