// The handles of models and of lanes.
#pragma once
#include "handles.h"
#include "model/model.h"
#include "tune/lane_set.h"

namespace cortune {

template <>
struct HandleTraits<Model> {
  static constexpr const char* kName = "Model";
  static constexpr napi_type_tag kTag = {0x1b8d40a7c2f94e66, 0x92c7d5e03f1a4b88};
  static int64_t bytes(const Model& model) { return model.parameters().bytes(); }
  static void describe(Napi::Env, const Model&, Napi::Object) {}
};

template <>
struct HandleTraits<Images> {
  static constexpr const char* kName = "Images";
  static constexpr napi_type_tag kTag = {0x5c1be09a63d24f77, 0xa93e6d17c0b84e25};
  static int64_t bytes(const Images& images) { return static_cast<int64_t>(images.pixels.nbytes()); }
  static void describe(Napi::Env env, const Images& images, Napi::Object into) {
    into.Set("count", Napi::Number::New(env, static_cast<double>(images.pixels.size(0))));
  }
};

template <>
struct HandleTraits<LaneSet> {
  static constexpr const char* kName = "Lanes";
  static constexpr napi_type_tag kTag = {0xe05a7f3619cd42b1, 0x8d46b0c2a97f4e53};
  static int64_t bytes(const LaneSet& lanes) { return lanes.bytes(); }
  static void describe(Napi::Env env, const LaneSet& lanes, Napi::Object into) {
    into.Set("lanes", Napi::Number::New(env, static_cast<double>(lanes.lanes())));
  }
};

}  // namespace cortune
