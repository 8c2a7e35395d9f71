// Tensor files across the boundary: headers, tensors by name, and writing.
#include "args.h"
#include "bindings.h"
#include "io/tensor_file.h"
#include "io/write_safetensors.h"
#include "job.h"
#include "values.h"

namespace cortune {
namespace {

Napi::Value meta_value(Napi::Env env, const MetaValue& meta) {
  if (const auto* flag = std::get_if<bool>(&meta.value)) return Napi::Boolean::New(env, *flag);
  if (const auto* number = std::get_if<double>(&meta.value)) return Napi::Number::New(env, *number);
  if (const auto* text = std::get_if<std::string>(&meta.value)) return Napi::String::New(env, *text);
  const auto& items = std::get<MetaArray>(meta.value);
  auto array = Napi::Array::New(env, items.size());
  for (uint32_t i = 0; i < items.size(); ++i) {
    Napi::HandleScope scope(env);  // vocabularies have 10^5 items
    array.Set(i, meta_value(env, items[i]));
  }
  return array;
}

Napi::Value header_object(Napi::Env env, const Header& header) {
  auto tensors = Napi::Array::New(env, header.tensors.size());
  for (uint32_t i = 0; i < header.tensors.size(); ++i) {
    const TensorEntry& entry = header.tensors[i];
    auto info = Napi::Object::New(env);
    info.Set("name", Napi::String::New(env, entry.name));
    info.Set("dtype", Napi::String::New(env, entry.dtype->name));
    info.Set("shape", to_numbers(env, entry.shape));
    tensors.Set(i, info);
  }
  auto metadata = Napi::Object::New(env);
  // Defined, not assigned: a key named __proto__ must be a key like any other.
  for (const auto& [key, value] : header.metadata)
    metadata.DefineProperty(Napi::PropertyDescriptor::Value(Napi::String::New(env, key),
                                                            meta_value(env, value), napi_default_jsproperty));
  auto object = Napi::Object::New(env);
  object.Set("format", Napi::String::New(env, header.format));
  object.Set("tensors", tensors);
  object.Set("metadata", metadata);
  return object;
}

Napi::Value inspect_file(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const std::string path = Args(env, info[0]).text("path");
  return start_job(
      env, env.Undefined(), [path](const Task&) { return TensorFile::open(path)->header(); },
      [](Napi::Env js, const Header& header) { return header_object(js, header); });
}

Napi::Value read_tensors(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const Args args(env, info[0]);
  const auto read = [path = args.text("path"), names = args.texts("names")](const Task& task) {
    const auto file = TensorFile::open(path);
    std::vector<at::Tensor> tensors;
    for (const std::string& name : names) {
      task.check();
      tensors.push_back(file->read(name));
    }
    return tensors;
  };
  return start_job(env, env.Undefined(), read, to_handles);
}

std::map<std::string, std::string> text_map(Napi::Env env, const Napi::Value& value) {
  const auto wrong = to_js(env, {"ERR_ARGUMENT", "Expected `metadata` to be an object of strings"});
  if (!value.IsObject()) throw wrong;
  const auto object = value.As<Napi::Object>();
  const auto names = object.GetPropertyNames();
  std::map<std::string, std::string> map;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::Value name = names.Get(i);
    const Napi::Value text = object.Get(name);
    if (!text.IsString()) throw wrong;
    map[name.ToString()] = text.As<Napi::String>();
  }
  return map;
}

Napi::Value write_file(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const Args args(env, info[0]);
  const auto names = args.texts("names");
  const auto handles = args.handles<at::Tensor>("tensors");
  if (names.size() != handles.size())
    throw to_js(env, {"ERR_ARGUMENT", "Expected `names` to have one name for each of the " +
                                          std::to_string(handles.size()) + " tensors, got " +
                                          std::to_string(names.size())});
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (size_t i = 0; i < names.size(); ++i) tensors.emplace_back(names[i], *handles[i]);
  const auto write = [path = args.text("path"), tensors,
                      metadata =
                          text_map(env, info[0].As<Napi::Object>().Get("metadata"))](const Task& task) {
    write_safetensors(path, tensors, metadata, task);
    return Nothing{};
  };
  return start_job(env, env.Undefined(), write, to_undefined);
}

}  // namespace

void export_io(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "inspectFile", inspect_file);
  export_function(env, exports, "readTensors", read_tensors);
  export_function(env, exports, "writeSafetensors", write_file);
}

}  // namespace cortune
