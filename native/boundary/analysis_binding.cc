// Analyses of what was predicted and represented, as jobs.
#include "../analysis/geometry.h"
#include "../analysis/logistic.h"
#include "../analysis/match.h"
#include "../analysis/resample.h"
#include "../analysis/soft_match.h"
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

Scored scored_of(const Args& args) {
  Scored scored{*args.handle<at::Tensor>("predictions"), *args.handle<at::Tensor>("responses"), {}};
  for (const auto& part : args.objects("parts")) scored.parts.push_back(part.int32s("rows"));
  return scored;
}

Napi::Value to_permuted(Napi::Env env, const PermutedScores& scores) {
  auto object = Napi::Object::New(env);
  object.Set("r", to_float64(env, scores.r));
  object.Set("exceed", to_float64(env, scores.exceed));
  object.Set("maximum", to_float64(env, scores.maximum));
  object.Set("mean", to_float64(env, scores.mean));
  object.Set("deviation", to_float64(env, scores.deviation));
  return object;
}

Napi::Value permuted_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [scored = scored_of(args), orders = args.int32s("orders"), phases = args.doubles("phases"),
       two_sided = args.flag("twoSided")](const Task& task) {
        return phases.empty() ? permuted_scores(scored, orders, two_sided, task)
                              : phase_scores(scored, phases, two_sided, task);
      },
      to_permuted);
}

Napi::Value resampled_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [scored = scored_of(args), draws = args.int32s("draws"), level = args.number("level")](
          const Task& task) { return resampled_scores(scored, draws, level, task); },
      [](Napi::Env env, const ResampledScores& scores) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("r", to_float64(env, scores.r));
        object.Set("lower", to_float64(env, scores.lower));
        object.Set("upper", to_float64(env, scores.upper));
        object.Set("deviation", to_float64(env, scores.deviation));
        object.Set("mean", to_float64(env, scores.mean));
        return object;
      });
}

Napi::Value logistic_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  LogisticSpec spec;
  for (const auto& fold : args.objects("folds")) {
    const auto train = fold.int32s("train"), test = fold.int32s("test");
    spec.folds.push_back({{train.begin(), train.end()}, {test.begin(), test.end()}});
  }
  spec.labels = args.int32s("labels");
  spec.classes = args.integer("classes");
  spec.c = args.number("c");
  spec.zscore = args.flag("zscore");
  return start_job(
      info.Env(), info[1],
      [features = args.handle<at::Tensor>("features"), spec = std::move(spec)](const Task& task) {
        return logistic(*features, spec, task);
      },
      to_float64);
}

Napi::Value soft_match_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [states = args.handle<at::Tensor>("states"), lengths = args.int32s("lengths"),
       weights = args.floats("weights"), pairs = args.int32s("pairs")](const Task& task) {
        return soft_match({*states, lengths, weights, pairs}, task);
      },
      to_float64);
}

}  // namespace

void export_analysis(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "matchRows", match_job);
  export_function(env, exports, "dissimilarities", dissimilarities_job);
  export_function(env, exports, "layerSimilarity", similarity_job);
  export_function(env, exports, "permutedScores", permuted_job);
  export_function(env, exports, "resampledScores", resampled_job);
  export_function(env, exports, "logistic", logistic_job);
  export_function(env, exports, "softMatch", soft_match_job);
}

}  // namespace cortune
