// Embedding as a job.
#include "args.h"
#include "bindings.h"
#include "embed/extract.h"
#include "job.h"
#include "model_handles.h"
#include "sequences.h"
#include "values.h"

namespace cortune {
namespace {

ExtractArgs read_extract_args(const Args& args) {
  return {read_sequences(args),
          args.int32s("spans"),
          args.text("pool"),
          args.integer("maxTokens"),
          args.int32s("layers"),
          args.text("precision") == "bf16",
          args.optional_handle<Images>("images")};
}

Napi::Value embed(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes = args.optional_handle<LaneSet>("lanes"),
       extract_args = read_extract_args(args)](const Task& task) {
        return extract(*model, lanes.get(), extract_args, task);
      },
      [](Napi::Env env, const std::vector<at::Tensor>& outputs) { return to_handles(env, outputs); });
}

}  // namespace

void export_embed(Napi::Env env, Napi::Object exports) { export_function(env, exports, "embed", embed); }

}  // namespace cortune
