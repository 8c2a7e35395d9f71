// Looking into passes and changing them, as jobs.
#include <optional>

#include "args.h"
#include "bindings.h"
#include "job.h"
#include "model_handles.h"
#include "probe/look.h"
#include "probe/variants.h"
#include "sequences.h"
#include "values.h"

namespace cortune {
namespace {

// One lane of a set, where it stands; none is the base model.
class OneLane {
 public:
  OneLane(const std::shared_ptr<LaneSet>& lanes, int64_t lane) : all_(lanes) {
    if (lanes && lanes->lanes() > 1) own_.emplace(lanes->part({lane, 1}));
  }
  const Delta* get() const { return own_ ? &*own_ : all_.get(); }

 private:
  std::shared_ptr<LaneSet> all_;
  std::optional<LaneSet> own_;
};

struct Subject {
  std::shared_ptr<Model> model;
  std::shared_ptr<LaneSet> lanes;
  int64_t lane;
  bool half;
};

Subject read_subject(const Args& args) {
  Subject subject{args.handle<Model>("model"), args.optional_handle<LaneSet>("lanes"), args.integer("lane"),
                  args.text("precision") == "bf16"};
  if (subject.lane < 0 || subject.lane >= (subject.lanes ? subject.lanes->lanes() : 1))
    fail(Code::kArgument, "Expected `lane` to be a lane of `lanes`.");
  return subject;
}

Point read_point(int64_t number) {
  if (number < 0 || number > 3) fail(Code::kArgument, "Expected a point from 0 to 3.");
  return static_cast<Point>(number);
}

Point read_point(const std::string& name) {
  for (const auto& [known, point] : {std::pair{"residual", Point::kResidual},
                                     {"heads", Point::kHeads},
                                     {"attention", Point::kAttention},
                                     {"mlp", Point::kMlp}})
    if (name == known) return point;
  fail(Code::kArgument, "Expected `point` to be residual, heads, attention or mlp, got `" + name + "`.");
}

std::vector<std::vector<int32_t>> optional_sequences(const Args& args, const char* key) {
  return args.has(key) ? read_sequences(args.object(key)) : std::vector<std::vector<int32_t>>();
}

// Six numbers each: variant, point, layer, head, position, what it is put to.
std::vector<Edit> read_edits(const Args& args) {
  const auto numbers = args.int32s("edits");
  if (numbers.size() % 6 != 0) fail(Code::kArgument, "Expected `edits` to hold six numbers each.");
  std::vector<Edit> edits;
  for (size_t i = 0; i < numbers.size(); i += 6) {
    if (numbers[i + 5] < 0 || numbers[i + 5] > 2)
      fail(Code::kArgument, "Expected `edits` to put parts to 0, 1 or 2 (zero, mean, other).");
    edits.push_back({numbers[i], read_point(int64_t{numbers[i + 1]}), numbers[i + 2], numbers[i + 3],
                     numbers[i + 4], static_cast<Instead>(numbers[i + 5])});
  }
  return edits;
}

VariantArgs read_variants(const Args& args) {
  VariantArgs variants;
  variants.items = read_sequences(args);
  variants.others = optional_sequences(args, "others");
  variants.reference = optional_sequences(args, "reference");
  const auto scored = args.int32s("scored");
  if (scored.size() % 3 != 0) fail(Code::kArgument, "Expected `scored` to hold three numbers each.");
  for (size_t i = 0; i < scored.size(); i += 3)
    variants.scored.push_back({scored[i], scored[i + 1], scored[i + 2]});
  variants.edits = read_edits(args);
  variants.variants = args.integer("variants");
  variants.rows = args.integer("rows");
  variants.together = args.integer("together");
  variants.half = args.text("precision") == "bf16";
  return variants;
}

Napi::Value variant_scores(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [subject = read_subject(args), variants = read_variants(args)](const Task& task) {
        const OneLane lane(subject.lanes, subject.lane);
        return score_variants(*subject.model, lane.get(), variants, task);
      },
      [](Napi::Env env, const VariantScores& scores) -> Napi::Value {
        const auto values = [&](const at::Tensor& x) {
          return to_float64(env, {x.data_ptr<double>(), x.data_ptr<double>() + x.numel()});
        };
        auto object = Napi::Object::New(env);
        object.Set("logP", values(scores.log_p));
        object.Set("hits", values(scores.hits));
        return object;
      });
}

Napi::Value capture_states(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [subject = read_subject(args), sequences = read_sequences(args), point = read_point(args.text("point")),
       layers = args.int32s("layers")](const Task& task) {
        const OneLane lane(subject.lanes, subject.lane);
        return capture(*subject.model, lane.get(), sequences, point, layers, subject.half, task);
      },
      [](Napi::Env env, const at::Tensor& states) { return to_handle(env, states); });
}

Napi::Value attention_weights(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [subject = read_subject(args), sequences = read_sequences(args)](const Task& task) {
        const OneLane lane(subject.lanes, subject.lane);
        return attention_maps(*subject.model, lane.get(), sequences, task);
      },
      [](Napi::Env env, const at::Tensor& maps) { return to_handle(env, maps); });
}

}  // namespace

void export_probe(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "variantScores", variant_scores);
  export_function(env, exports, "captureStates", capture_states);
  export_function(env, exports, "attentionWeights", attention_weights);
}

}  // namespace cortune
