// Analyses of what was predicted and represented, as jobs.
#include "../analysis/geometry.h"
#include "../analysis/match.h"
#include "args.h"
#include "bindings.h"
#include "job.h"
#include "values.h"

namespace cortune {
namespace {

Napi::Value to_match(Napi::Env env, const MatchScores& scores) {
  auto object = Napi::Object::New(env);
  object.Set("wins", to_float64(env, scores.wins));
  object.Set("pairs", to_float64(env, scores.pairs));
  object.Set("ranks", to_float64(env, scores.ranks));
  object.Set("baseline", to_float64(env, scores.baseline));
  return object;
}

Napi::Value match_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [predicted = args.handle<at::Tensor>("predicted"), actual = args.handle<at::Tensor>("actual"),
       spec = MatchSpec{args.text("metric") == "correlation", args.int32s("groups"), args.int32s("orders")}](
          const Task& task) { return match_rows(*predicted, *actual, spec, task); },
      to_match);
}

Napi::Value dissimilarities_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [values = args.handle<at::Tensor>("values"), metric = args.text("metric")](const Task& task) {
        return dissimilarities(*values, metric, task);
      },
      to_float64);
}

Napi::Value similarity_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [a = args.handle<at::Tensor>("a"), b = args.handle<at::Tensor>("b"),
       measure = args.text("measure")](const Task& task) {
        if (measure == "procrustes") return procrustes(*a, *b, task);
        return cka(*a, *b, measure == "cka-debiased", task);
      },
      to_float64);
}

}  // namespace

void export_analysis(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "matchRows", match_job);
  export_function(env, exports, "dissimilarities", dissimilarities_job);
  export_function(env, exports, "layerSimilarity", similarity_job);
}

}  // namespace cortune
