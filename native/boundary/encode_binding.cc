// Alignment of rows and encoding as jobs.
#include "../encode/encode.h"

#include "../analysis/decode.h"
#include "../encode/align.h"
#include "../encode/banded.h"
#include "../encode/npy_responses.h"
#include "../encode/permute.h"
#include "args.h"
#include "bindings.h"
#include "job.h"
#include "values.h"

namespace cortune {

using SharedResponses = std::shared_ptr<const Responses>;

// A file of responses, opened.
template <>
struct HandleTraits<SharedResponses> {
  static constexpr const char* kName = "Responses";
  static constexpr napi_type_tag kTag = {0x1d0c6a5be2f94470, 0x95b7c3f08a61e2d4};
  static int64_t bytes(const SharedResponses&) { return 0; }
  static void describe(Napi::Env env, const SharedResponses& responses, Napi::Object into) {
    into.Set("shape", to_numbers(env, {responses->rows(), responses->targets()}));
  }
};

namespace {

// The argument `responses` is a tensor; or `responsesFile` is a file. Checked for finiteness in the job.
std::function<SharedResponses()> responses_argument(const Args& args) {
  if (args.has("responsesFile")) {
    const auto file = args.handle<SharedResponses>("responsesFile");
    return [file] { return *file; };
  }
  const auto tensor = args.handle<at::Tensor>("responses");
  return [tensor] { return responses_in_memory(tensor->contiguous()); };
}

Napi::Value open_responses_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [path = args.text("path")](const Task&) {
        return std::make_shared<SharedResponses>(responses_in_npy(path));
      },
      [](Napi::Env env, std::shared_ptr<SharedResponses> responses) -> Napi::Value {
        return Handle<SharedResponses>::make(env, std::move(responses));
      });
}

RowSplit row_split(const Args& args) {
  const auto train = args.int32s("train"), test = args.int32s("test");
  return {{train.begin(), train.end()}, {test.begin(), test.end()}};
}

OuterFold outer_fold(const Args& args) {
  OuterFold fold{row_split(args), {}};
  for (const auto& inner : args.objects("inner")) fold.inner.push_back(row_split(inner));
  return fold;
}

EncodeSpec encode_spec(const Args& args) {
  EncodeSpec spec;
  for (const auto& fold : args.objects("folds")) spec.folds.push_back(outer_fold(fold));
  spec.alphas = args.doubles("alphas");
  spec.zscore = args.text("standardize") == "zscore";
  spec.shared_alpha = args.text("alphaPer") == "shared";
  spec.fixed = args.flag("fixed");
  spec.single = args.text("precision") == "single";
  spec.predictions = args.flag("predictions");
  spec.spearman = args.flag("spearman");
  spec.explained = args.flag("explained");
  if (args.has("rowWeights")) spec.row_weights = args.doubles("rowWeights");
  const auto weights = args.text("weights");
  spec.weights = weights == "primal" ? Weights::kPrimal : weights == "dual" ? Weights::kDual : Weights::kNone;
  if (args.has("memory")) spec.memory = args.number("memory");
  const auto selection = args.text("selection");
  spec.selection = selection == "loo"   ? Selection::kLeaveOneOut
                   : selection == "gcv" ? Selection::kGeneralised
                                        : Selection::kFolds;
  if (args.has("kernel")) {
    const auto kernel = args.object("kernel");
    spec.kernel = {kernel.text("kind") == "rbf" ? Kernel::Kind::kRbf : Kernel::Kind::kPolynomial,
                   kernel.number("gamma"), kernel.number("offset"), kernel.number("degree")};
  }
  return spec;
}

Napi::Value to_result(Napi::Env env, EncodeScores scores) {
  auto object = Napi::Object::New(env);
  object.Set("r", to_float64(env, scores.r));
  object.Set("r2", to_float64(env, scores.r2));
  object.Set("alpha", to_float64(env, scores.alpha));
  const auto set = [&](const char* key, const std::vector<double>& values) {
    if (!values.empty()) object.Set(key, to_float64(env, values));
  };
  set("spearman", scores.spearman);
  set("explained", scores.explained);
  set("error", scores.error);
  if (scores.predictions.defined()) object.Set("predictions", to_handle(env, scores.predictions));
  if (scores.weights.defined()) object.Set("weights", to_handle(env, scores.weights));
  if (scores.intercepts.defined()) object.Set("intercepts", to_handle(env, scores.intercepts));
  return object;
}

Napi::Value encode_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [features = args.handle<at::Tensor>("features"), responses = responses_argument(args),
       spec = encode_spec(args)](const Task& task) { return encode(*features, *responses(), spec, task); },
      to_result);
}

RefitSpec refit_spec(const Args& args) {
  RefitSpec spec;
  for (const auto& fold : args.objects("folds")) spec.folds.push_back(outer_fold(fold));
  spec.alphas = args.doubles("alphas");
  if (args.has("chosen")) spec.chosen = args.int32s("chosen");
  spec.orders = args.int32s("orders");
  for (const auto& run : args.objects("runs")) {
    const auto rows = run.int32s("rows");
    spec.phases.runs.emplace_back(rows.begin(), rows.end());
  }
  spec.phases.values = args.doubles("phases");
  spec.shared_alpha = args.text("alphaPer") == "shared";
  spec.zscore = args.text("standardize") == "zscore";
  spec.single = args.text("precision") == "single";
  spec.two_sided = args.flag("twoSided");
  spec.keep = args.flag("keep");
  if (args.has("match")) {
    const auto match = args.object("match");
    spec.block = decoding_score({match.integer("columns"), match.text("metric") == "correlation",
                                 match.flag("zscore"), match.int32s("groups")});
  }
  return spec;
}

Napi::Value to_refit_result(Napi::Env env, RefitScores scores) {
  auto object = Napi::Object::New(env);
  object.Set("observed", to_float64(env, scores.observed));
  object.Set("reached", to_float64(env, scores.reached));
  object.Set("largest", to_float64(env, scores.largest));
  if (scores.scores.defined()) object.Set("scores", to_handle(env, scores.scores));
  return object;
}

Napi::Value refit_permuted_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [features = args.handle<at::Tensor>("features"), responses = responses_argument(args),
       layer = args.integer("layer"), spec = refit_spec(args)](const Task& task) {
        if (features->dim() != 3 || layer < 0 || layer >= features->size(0))
          fail(Code::kArgument,
               "Expected features [layers, rows, columns] and `layer` to be one of the layers");
        return refit_permuted((*features)[layer], *responses(), spec, task);
      },
      to_refit_result);
}

Napi::Value to_banded_result(Napi::Env env, BandedScores scores) {
  auto object = Napi::Object::New(env);
  object.Set("r", to_float64(env, scores.r));
  object.Set("r2", to_float64(env, scores.r2));
  object.Set("split", to_float64(env, scores.split));
  object.Set("alpha", to_float64(env, scores.alpha));
  object.Set("gamma", to_float64(env, scores.gamma));
  object.Set("error", to_float64(env, scores.error));
  return object;
}

Napi::Value encode_banded_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  BandedSpec spec;
  for (const auto& fold : args.objects("folds")) spec.folds.push_back(outer_fold(fold));
  for (const int32_t size : args.int32s("sizes")) spec.sizes.push_back(size);
  spec.gammas = args.doubles("gammas");
  spec.alphas = args.doubles("alphas");
  spec.zscore = args.text("standardize") == "zscore";
  spec.fixed = args.flag("fixed");
  spec.single = args.text("precision") == "single";
  spec.refine = args.integer("refine");
  return start_job(
      info.Env(), info[1],
      [features = args.handle<at::Tensor>("features"), responses = responses_argument(args),
       spec](const Task& task) {
        if (features->dim() != 2) fail(Code::kArgument, "Expected features [rows, columns]");
        return encode_banded(*features, *responses(), spec, task);
      },
      to_banded_result);
}

Napi::Value align_rows_job(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [tensor = args.handle<at::Tensor>("tensor"),
       mixing = RowMixing{args.int32s("rowStarts"), args.int32s("columns"), args.floats("weights")},
       delays = args.int32s("delays")](const Task& task) {
        return align_rows(*tensor, mixing, delays, task);
      },
      to_handle);
}

}  // namespace

void export_encode(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "alignRows", align_rows_job);
  export_function(env, exports, "openResponses", open_responses_job);
  export_function(env, exports, "encode", encode_job);
  export_function(env, exports, "encodeBanded", encode_banded_job);
  export_function(env, exports, "refitPermuted", refit_permuted_job);
}

}  // namespace cortune
