// Writing texts as a job.
#include "args.h"
#include "bindings.h"
#include "generate/generate.h"
#include "job.h"
#include "model_handles.h"
#include "sequences.h"
#include "values.h"

namespace cortune {
namespace {

// The bytes of each token, of which stop strings are made; none without stop strings.
std::vector<std::string> read_pieces(const Args& args, size_t vocabulary) {
  const auto bytes = args.bytes("pieces");
  const auto lengths = args.int32s("pieceLengths");
  std::vector<std::string> pieces;
  size_t at = 0;
  for (const auto length : lengths) {
    if (length < 0 || at + static_cast<size_t>(length) > bytes.size())
      fail(Code::kArgument, "Expected `pieceLengths` to sum to the bytes of `pieces`.");
    pieces.emplace_back(bytes.begin() + static_cast<int64_t>(at),
                        bytes.begin() + static_cast<int64_t>(at) + length);
    at += static_cast<size_t>(length);
  }
  pieces.resize(vocabulary);  // rows of the table that stand for no token
  return pieces;
}

StopRules read_stops(const Args& args, const Model& model) {
  StopRules stops;
  for (const auto id : args.int32s("ends")) stops.ends.insert(id);
  for (const auto& text : args.texts("stops"))
    if (!text.empty()) stops.strings.push_back(text);
  if (!stops.strings.empty())
    stops.pieces = read_pieces(args, static_cast<size_t>(model.config().vocab_size));
  stops.longest = args.integer("maxNewTokens");
  return stops;
}

SearchRules read_rules(const Args& args, const Model& model) {
  SearchRules rules;
  rules.beams = args.integer("beams");
  rules.length_penalty = args.number("lengthPenalty");
  const auto early = args.text("earlyStopping");
  rules.early = early == "true";
  rules.never = early == "never";
  rules.sample = args.flag("sample");
  rules.temperature = args.number("temperature");
  rules.top_k = args.integer("topK");
  rules.top_p = args.number("topP");
  rules.seed = static_cast<uint64_t>(args.integer("seed"));
  rules.stops = read_stops(args, model);
  return rules;
}

using Texts = std::vector<std::vector<Written>>;

// Lane after lane, prompt after prompt.
Napi::Value to_texts(Napi::Env env, const Texts& lanes) {
  std::vector<int32_t> tokens, lengths;
  std::vector<double> scores;
  std::vector<std::string> stops;
  for (const auto& lane : lanes)
    for (const auto& written : lane) {
      tokens.insert(tokens.end(), written.tokens.begin(), written.tokens.end());
      lengths.push_back(static_cast<int32_t>(written.tokens.size()));
      scores.push_back(written.score);
      stops.emplace_back(name_of(written.stop));
    }
  auto object = Napi::Object::New(env);
  object.Set("tokens", to_int32(env, tokens));
  object.Set("lengths", to_int32(env, lengths));
  object.Set("scores", to_float64(env, scores));
  object.Set("stops", to_strings(env, stops));
  return object;
}

Napi::Value generate_texts(const Napi::CallbackInfo& info) {
  const Args args(info.Env(), info[0]);
  const auto model = args.handle<Model>("model");
  return start_job(
      info.Env(), info[1],
      [model, lanes = args.optional_handle<LaneSet>("lanes"),
       generate_args = GenerateArgs{read_sequences(args), read_rules(args, *model), args.integer("batch"),
                                    args.text("precision") == "bf16"}](const Task& task) {
        return generate(*model, lanes.get(), generate_args, task);
      },
      to_texts);
}

}  // namespace

void export_generate(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "generate", generate_texts);
}

}  // namespace cortune
