// Tuning as a job, and the trained state of lanes in and out.
#include <algorithm>

#include "args.h"
#include "bindings.h"
#include "job.h"
#include "model_handles.h"
#include "sequences.h"
#include "train/footprint.h"
#include "train/gradients.h"
#include "train/loop.h"
#include "tune/merge.h"
#include "values.h"

namespace cortune {
namespace {

LaneSpec read_lane(const Args& args) {
  LaneSpec lane{
      args.number("lr"), args.number("weightDecay"), static_cast<uint64_t>(args.integer("seed")), {}};
  if (args.has("options")) lane.options = args.object("options").all_numbers();
  return lane;
}

MethodSpec read_method(const Args& args) {
  MethodSpec spec{args.text("method"), args.texts("targets"), {}, {}};
  if (args.has("options")) args.object("options").sort_into(spec.options);
  for (const auto& lane : args.objects("lanes")) spec.lanes.push_back(read_lane(lane));
  return spec;
}

std::vector<MethodSpec> read_methods(const Args& args) {
  std::vector<MethodSpec> specs;
  for (const auto& method : args.objects("methods")) specs.push_back(read_method(method));
  return specs;
}

bool read_half(const Args& args) {
  const auto precision = args.text("precision");
  if (precision != "fp32" && precision != "bf16")
    fail(Code::kArgument, "Expected `precision` to be fp32 or bf16, got `" + precision + "`.");
  return precision == "bf16";
}

TrainArgs read_train_args(const Args& args) {
  const bool tokens = of_tokens(args.text("objective"));
  TrainArgs train;
  train.examples = read_examples(args, tokens);
  train.order = args.int32s("order");
  train.steps = args.integer("steps");
  train.passes = args.integer("passes");
  train.batch = args.integer("batch");
  train.together = args.integer("together");
  train.checkpointing = args.flag("checkpointing");
  train.half = read_half(args);
  if (args.has("validation")) train.validation = read_examples(args.object("validation"), tokens);
  train.every = args.integer("every");
  train.patience = args.integer("patience");
  train.rungs = args.int32s("rungs");
  train.keep = args.int32s("keep");
  train.schedule = args.doubles("schedule");
  train.optimiser = {args.number("beta1"), args.number("beta2"), args.number("eps"), args.number("clip")};
  return train;
}

struct Tuned {
  std::shared_ptr<LaneSet> lanes;
  TrainResult result;
};

// Lanes of the same kind again give a place to the states of those that left the batch.
Tuned run_tune(const Model& model, const std::vector<MethodSpec>& methods, int64_t outputs,
               const std::shared_ptr<LaneSet>& from, const std::string& objective, const TrainArgs& args,
               const Task& task) {
  auto lanes = std::make_shared<LaneSet>(model, methods, outputs);
  const int64_t count = lanes->lanes();
  if (from) lanes->start_from(*from);
  auto result = train(model, *lanes, objective, args, task);
  if (lanes->lanes() < count) lanes = std::make_shared<LaneSet>(model, methods, outputs);
  for (size_t k = 0; k < result.states.size(); ++k)
    if (!result.states[k].empty()) lanes->load(static_cast<int64_t>(k), result.states[k]);
  result.states.clear();
  return {std::move(lanes), std::move(result)};
}

Napi::Value tune(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), from = args.optional_handle<LaneSet>("from"),
       methods = read_methods(args), outputs = args.integer("outputs"), objective = args.text("objective"),
       train_args = read_train_args(args)](const Task& task) {
        return run_tune(*model, methods, outputs, from, objective, train_args, task);
      },
      [](Napi::Env env, const Tuned& tuned) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("lanes", Handle<LaneSet>::make(env, tuned.lanes));
        object.Set("losses", to_float64(env, tuned.result.losses));
        object.Set("failedAt", to_numbers(env, tuned.result.failed_at));
        object.Set("stoppedAt", to_numbers(env, tuned.result.stopped_at));
        object.Set("stoppedBy", to_strings(env, tuned.result.stopped_by));
        object.Set("validation", to_float64(env, tuned.result.validation));
        object.Set("validatedAt", to_numbers(env, tuned.result.validated_at));
        object.Set("bestAt", to_numbers(env, tuned.result.best_at));
        return object;
      });
}

Napi::Value tune_footprint(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), method = read_method(args.object("method")),
       objective = args.text("objective"), outputs = args.integer("outputs"),
       checkpointing = args.flag("checkpointing"), alone = args.flag("alone")](const Task& task) {
        return footprint(*model, method, objective, outputs, checkpointing, alone, task);
      },
      [](Napi::Env env, const Footprint& found) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("tokens", Napi::Number::New(env, static_cast<double>(found.tokens)));
        object.Set("state", Napi::Number::New(env, static_cast<double>(found.state)));
        object.Set("trained", Napi::Number::New(env, static_cast<double>(found.trained)));
        object.Set("live", to_float64(env, found.live));
        return object;
      });
}

// Copies, those named in `turned` as [in, out].
NamedTensors copies(NamedTensors state, const std::vector<std::string>& turned) {
  for (auto& [name, tensor] : state) {
    if (std::find(turned.begin(), turned.end(), name) != turned.end()) tensor = tensor.t();
    tensor = tensor.clone(at::MemoryFormat::Contiguous);
  }
  return state;
}

Napi::Value to_named(Napi::Env env, const NamedTensors& state) {
  std::vector<std::string> names;
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : state) {
    names.push_back(name);
    tensors.push_back(tensor);
  }
  auto object = Napi::Object::New(env);
  object.Set("names", to_strings(env, names));
  object.Set("tensors", to_handles(env, tensors));
  return object;
}

int64_t read_lane_number(const Args& args, const LaneSet& lanes) {
  const int64_t lane = args.integer("lane");
  if (lane < 0 || lane >= lanes.lanes()) fail(Code::kArgument, "Expected `lane` to be a lane of `lanes`.");
  return lane;
}

Napi::Value lane_tensors(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto lanes = args.handle<LaneSet>("lanes");
  return start_job(
      info.Env(), info[1],
      [lanes, lane = read_lane_number(args, *lanes), whole = args.flag("whole")](const Task&) {
        return copies(whole ? lanes->state(lane) : lanes->saved(lane), {});
      },
      to_named);
}

Napi::Value lane_gradients(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto lanes = args.handle<LaneSet>("lanes");
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes, lane = read_lane_number(args, *lanes),
       objective = args.text("objective"),
       examples = read_examples(args, of_tokens(args.text("objective")))](const Task& task) {
        return gradients(*model, *lanes, lane, *make_objective(objective, lanes->head()), examples, task);
      },
      to_named);
}

Napi::Value judge_examples(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto tokens = args.integer("tokens");
  if (tokens < 1) fail(Code::kArgument, "Expected `tokens` to be at least 1.");
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes = args.optional_handle<LaneSet>("lanes"),
       objective = args.text("objective"), tokens, half = read_half(args),
       examples = read_examples(args, of_tokens(args.text("objective")))](const Task& task) {
        const auto judged_by = make_objective(objective, lanes ? lanes->head() : nullptr);
        return judge(*model, lanes.get(), *judged_by, examples, tokens, half, task);
      },
      [](Napi::Env env, const Judgements& judged) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("losses", to_float64(env, judged.losses));
        object.Set("rows", to_float64(env, judged.rows));
        object.Set("correct", to_float64(env, judged.correct));
        object.Set("said", to_float64(env, judged.said));
        return object;
      });
}

Napi::Value merged_tensors(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto lanes = args.handle<LaneSet>("lanes");
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes, lane = read_lane_number(args, *lanes),
       turned = args.texts("transposed")](const Task&) {
        return copies(merged(*model, *lanes, lane), turned);
      },
      to_named);
}

Napi::Value lanes_from_tensors(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto names = args.texts("names");
  const auto tensors = args.handles<at::Tensor>("tensors");
  if (names.size() != tensors.size())
    fail(Code::kArgument, "Expected `names` and `tensors` to be equally many.");
  NamedTensors state;
  for (size_t i = 0; i < names.size(); ++i) state.emplace_back(names[i], *tensors[i]);
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), method = read_method(args.object("method")),
       outputs = args.integer("outputs"), state](const Task&) {
        auto lanes = std::make_shared<LaneSet>(*model, std::vector<MethodSpec>{method}, outputs);
        lanes->load(0, state);
        return lanes;
      },
      [](Napi::Env env, std::shared_ptr<LaneSet> lanes) -> Napi::Value {
        return Handle<LaneSet>::make(env, std::move(lanes));
      });
}

}  // namespace

void export_tune(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "tune", tune);
  export_function(env, exports, "tuneFootprint", tune_footprint);
  export_function(env, exports, "laneTensors", lane_tensors);
  export_function(env, exports, "laneGradients", lane_gradients);
  export_function(env, exports, "judgeExamples", judge_examples);
  export_function(env, exports, "mergedTensors", merged_tensors);
  export_function(env, exports, "lanesFromTensors", lanes_from_tensors);
}

}  // namespace cortune
