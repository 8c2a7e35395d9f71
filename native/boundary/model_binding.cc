// Models: creation from files or a seed, their parameters, and small forward passes.
#include "args.h"
#include "bindings.h"
#include "embed/extract.h"
#include "io/tensor_file.h"
#include "job.h"
#include "model_handles.h"
#include "sequences.h"
#include "train/loop.h"
#include "values.h"

namespace cortune {
namespace {

ModelConfig read_config(const Args& args) {
  ModelConfig c;
  c.family = args.text("family");
  c.vocab_size = args.integer("vocabSize");
  c.hidden_size = args.integer("hiddenSize");
  c.layers = args.integer("layers");
  c.heads = args.integer("heads");
  c.kv_heads = args.integer("kvHeads");
  c.head_dim = args.integer("headDim");
  c.intermediate_size = args.integer("intermediateSize");
  c.max_positions = args.integer("maxPositions");
  c.norm_eps = args.number("normEps");
  c.activation = args.text("activation");
  c.tie_embeddings = args.flag("tieEmbeddings");
  c.qkv_bias = args.flag("qkvBias");
  c.out_bias = args.flag("outBias");
  c.mlp_bias = args.flag("mlpBias");
  c.rope_theta = args.number("ropeTheta");
  c.rope_share = args.number("ropeShare");
  c.rope_scaling = args.text("ropeScaling");
  c.rope_factor = args.number("ropeFactor");
  c.rope_low_factor = args.number("ropeLowFactor");
  c.rope_high_factor = args.number("ropeHighFactor");
  c.rope_original_positions = args.number("ropeOriginalPositions");
  c.parallel_residual = args.flag("parallelResidual");
  c.pre_norm = args.flag("preNorm");
  c.embed_size = args.integer("embedSize");
  c.final_norm = args.flag("finalNorm");
  c.sliding_window = args.integer("slidingWindow");
  c.type_vocab_size = args.integer("typeVocabSize");
  c.initializer_range = args.number("initializerRange");
  c.image_size = args.integer("imageSize");
  c.patch_size = args.integer("patchSize");
  c.channels = args.integer("channels");
  c.registers = args.integer("registers");
  c.gated_mlp = args.flag("gatedMlp");
  c.antialias = args.flag("antialias");
  // A model reads words or patches.
  const bool images = c.patch_size > 0;
  for (const auto size : {images ? c.channels : c.vocab_size, images ? c.image_size / c.patch_size : 1,
                          c.hidden_size, c.layers, c.heads, c.kv_heads, c.head_dim, c.intermediate_size})
    if (size < 1)
      fail(Code::kConfig,
           "Expected the sizes of a model's config to be positive, got " + std::to_string(size) + ".");
  return c;
}

struct Source {
  size_t file;
  std::string stored;
  std::string transform;
  int64_t heads;
};

struct CreateArgs {
  ModelConfig config;
  std::vector<std::string> files;
  std::map<std::string, Source> sources;
  uint64_t seed;
};

CreateArgs read_create_args(const Args& args) {
  CreateArgs create{read_config(args.object("config")),
                    args.texts("files"),
                    {},
                    static_cast<uint64_t>(args.integer("seed"))};
  for (const auto& weight : args.objects("weights")) {
    Source source{static_cast<size_t>(weight.integer("file")), weight.text("stored"),
                  weight.text("transform"), weight.integer("heads")};
    if (source.file >= create.files.size())
      fail(Code::kArgument, "Expected `weights[].file` to be an index into `files`.");
    create.sources[weight.text("name")] = std::move(source);
  }
  return create;
}

at::Tensor read_source(const std::vector<std::shared_ptr<TensorFile>>& files, const Source& source) {
  return read_weight(*files[source.file], source.stored, source.transform, source.heads);
}

std::shared_ptr<Model> create(const CreateArgs& args, const Task& task) {
  std::shared_ptr<Model> model = make_model(args.config);
  if (args.files.empty()) {
    initialise(*model, args.seed);
    return model;
  }
  std::vector<std::shared_ptr<TensorFile>> files;
  for (const auto& path : args.files) files.push_back(TensorFile::open(path));
  const auto specs = model->declare();
  int64_t done = 0;
  for (const auto& spec : specs) {
    task.progress(done++, static_cast<int64_t>(specs.size()), "loading");
    const auto found = args.sources.find(spec.name);
    if (found == args.sources.end())
      fail(Code::kNotFound,
           "Expected the checkpoint to have a weight `" + spec.name + "`, which it has not.");
    model->parameters().add(spec, read_source(files, found->second));
  }
  std::vector<ParameterSpec> lacking;
  for (const auto& spec : model->declare_heads()) {
    const auto found = args.sources.find(spec.name);
    if (found == args.sources.end())
      lacking.push_back(spec);
    else
      model->parameters().add(spec, read_source(files, found->second));
  }
  add_fresh_heads(*model, lacking, args.seed);
  return model;
}

Napi::Value create_model(const Napi::CallbackInfo& info) {
  return start_job(
      info.Env(), info[1],
      [args = read_create_args(Args(info.Env(), info[0]))](const Task& task) { return create(args, task); },
      [](Napi::Env env, std::shared_ptr<Model> model) -> Napi::Value {
        return Handle<Model>::make(env, std::move(model));
      });
}

Napi::Value model_parameters(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto model = Handle<Model>::get(env, info[0], "model");
  const auto& specs = model->parameters().specs();
  auto list = Napi::Array::New(env, specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    auto item = Napi::Object::New(env);
    item.Set("name", Napi::String::New(env, specs[i].name));
    item.Set("shape", to_numbers(env, specs[i].shape));
    item.Set("linear", Napi::Boolean::New(env, specs[i].linear));
    item.Set("head", Napi::String::New(env, specs[i].head));
    item.Set("fresh", Napi::Boolean::New(env, specs[i].fresh));
    list.Set(i, item);
  }
  return list;
}

Napi::Value model_forward(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto lanes = args.optional_handle<LaneSet>("lanes");
  const int64_t lane = args.integer("lane");
  if (lane < 0 || lane >= (lanes ? lanes->lanes() : 1))
    fail(Code::kArgument, "Expected `lane` to be a lane of `lanes`.");
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes, lane, sequences = read_sequences(args),
       images = args.optional_handle<Images>("images")](const Task& task) {
        return forward(*model, lanes.get(), lane, sequences, images, task);
      },
      [](Napi::Env env, const Forward& result) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("hidden", to_handle(env, result.hidden));
        object.Set("logits", result.logits.defined() ? to_handle(env, result.logits) : env.Null());
        return object;
      });
}

// Images from bytes or numbers [n, channels, H, W].
Napi::Value images_from(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  std::vector<int64_t> shape;
  for (const auto length : args.int32s("shape")) shape.push_back(length);
  const auto scale = args.floats("scale"), shift = args.floats("shift");
  int64_t size = 1;
  for (const auto length : shape) size *= length;
  const bool of_bytes = args.has("bytes");
  const auto bytes = of_bytes ? args.bytes("bytes") : std::vector<uint8_t>();
  const auto values = of_bytes ? std::vector<float>() : args.floats("values");
  const auto given = static_cast<int64_t>(of_bytes ? bytes.size() : values.size());
  if (shape.size() != 4 || size < 1 || size != given || static_cast<int64_t>(scale.size()) != shape[1] ||
      static_cast<int64_t>(shift.size()) != shape[1])
    throw to_js(info.Env(), {"ERR_ARGUMENT",
                             "Expected images to fill their `shape` [n, channels, H, W], and `scale` and "
                             "`shift` to hold a number for each channel"});
  auto images = std::make_shared<Images>();
  const auto copy = [](const auto& from, at::ScalarType type, std::vector<int64_t> as) {
    return at::from_blob(const_cast<void*>(static_cast<const void*>(from.data())), as, type).clone();
  };
  images->pixels = of_bytes ? copy(bytes, at::kByte, shape) : copy(values, at::kFloat, shape);
  images->scale = copy(scale, at::kFloat, {shape[1], 1, 1});
  images->shift = copy(shift, at::kFloat, {shape[1], 1, 1});
  return Handle<Images>::make(info.Env(), std::move(images));
}

Napi::Value predict_examples(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes = args.handle<LaneSet>("lanes"),
       objective = args.text("objective"), batch = args.integer("batch"),
       half = args.text("precision") == "bf16",
       examples = read_examples(args, of_tokens(args.text("objective")))](const Task& task) {
        const auto scored = make_objective(objective, lanes->head());
        check_examples(*scored, examples);
        return predict(*model, *lanes, *scored, examples, std::max<int64_t>(batch, 1), half, task);
      },
      [](Napi::Env env, const at::Tensor& outputs) -> Napi::Value { return to_handle(env, outputs); });
}

Napi::Value model_loss(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  return start_job(
      info.Env(), info[1],
      [model = args.handle<Model>("model"), lanes = args.optional_handle<LaneSet>("lanes"),
       objective = args.text("objective"),
       examples = read_examples(args, of_tokens(args.text("objective")))](const Task& task) {
        const auto scored = make_objective(objective, lanes ? lanes->head() : nullptr);
        check_examples(*scored, examples);
        return evaluate(*model, lanes.get(), *scored, examples, 1, false, task);
      },
      [](Napi::Env env, const std::vector<double>& losses) { return to_float64(env, losses); });
}

}  // namespace

void export_model(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "createModel", create_model);
  export_function(env, exports, "modelParameters", model_parameters);
  export_function(env, exports, "modelForward", model_forward);
  export_function(env, exports, "modelLoss", model_loss);
  export_function(env, exports, "imagesFrom", images_from);
  export_function(env, exports, "predict", predict_examples);
}

}  // namespace cortune
