// ViT (Dosovitskiy et al. 2021), DeiT (Touvron et al. 2021) and DINOv2 (Oquab et al. 2023; registers: Darcet
// et al. 2023): a bidirectional encoder of patches, layer norm before each sublayer.
#include "../error.h"
#include "families.h"

namespace cortune {
namespace {

const std::string kEmbeddings = "embeddings.";
const std::string kProjection = "embeddings.patch_embeddings.projection";

// A parameter [1, T, C] as the lanes have it. [1 or K, T, C]
at::Tensor tokens_of(const Pass& pass, const std::string& name) {
  if (pass.is_shared(name)) return pass.parameters.at(name);
  std::vector<at::Tensor> own;
  for (int64_t k = 0; k < pass.lanes; ++k) own.push_back(pass.matrix(name, k).squeeze(0));
  return at::stack(own);
}

std::string block_of(const Model& model, int64_t layer) {
  return indexed(model.config().family == "dinov2" ? "encoder.layer" : "layers", layer);
}

void declare_attention(Declare& declare, const std::string& name, const ModelConfig& c) {
  for (const auto* part : {"q_proj", "k_proj", "v_proj"})
    declare.linear(name + "." + part, c.hidden_size, c.hidden_size, c.qkv_bias);
  declare.linear(name + ".o_proj", c.hidden_size, c.hidden_size, true);
}

}  // namespace

// Everything before the blocks, and the norm behind them.
void ImageModel::declare_ends(Declare& declare) const {
  const auto& c = config_;
  const int64_t side = c.image_size / c.patch_size;
  declare.other(kEmbeddings + "cls_token", {1, 1, c.hidden_size});
  declare.other(kEmbeddings + "position_embeddings", {1, lead() + side * side, c.hidden_size});
  if (lead() > 1) declare.other(kEmbeddings + "distillation_token", {1, 1, c.hidden_size}, Init::kZeros);
  if (c.registers > 0)
    declare.other(kEmbeddings + "register_tokens", {1, c.registers, c.hidden_size}, Init::kZeros);
  declare.other(kProjection + ".weight", {c.hidden_size, c.channels, c.patch_size, c.patch_size});
  declare.bias(kProjection, c.hidden_size);
  declare.layer_norm("layernorm", c.hidden_size);
}

std::pair<int64_t, int64_t> ImageModel::grid(const at::Tensor& pixels) const {
  return {pixels.size(-2) / config_.patch_size, pixels.size(-1) / config_.patch_size};
}

void ImageModel::check(const Pass& pass) const {
  if (!pass.images)
    fail(Code::kArgument,
         "Expected images for a model of images (family `" + config_.family + "`), got texts.");
  const auto& pixels = pass.images->pixels;
  if (pixels.dim() != 4 || pixels.size(1) != config_.channels)
    fail(Code::kArgument, "Expected `pixels` to be [n, " + std::to_string(config_.channels) + ", H, W].");
  const auto [height, width] = grid(pixels);
  if (height < 1 || width < 1)
    fail(Code::kData, "Expected images of at least " + std::to_string(config_.patch_size) +
                          " pixels a side, one patch, got " + std::to_string(pixels.size(-1)) + " x " +
                          std::to_string(pixels.size(-2)) + ".");
  const auto high = pass.layout.ids.numel() == 0 ? -1 : pass.layout.ids.max().item<int64_t>();
  const auto low = high < 0 ? -1 : pass.layout.ids.min().item<int64_t>();
  if (low < 0 || high >= pixels.size(0))
    fail(Code::kArgument, "Expected `ids` to name images from 0 to " + std::to_string(pixels.size(0) - 1) +
                              ", got " + std::to_string(low < 0 ? low : high) + ".");
  const int64_t tokens = lead() + config_.registers + height * width;
  for (const auto& words : pass.layout.words)
    if (words.length != tokens)
      fail(Code::kArgument, "Expected images of " + std::to_string(tokens) + " tokens, got one of " +
                                std::to_string(words.length) + ".");
}

std::shared_ptr<const Images> ImageModel::blank_image(int64_t tokens) const {
  const int64_t side = config_.patch_size, patches = tokens - lead() - config_.registers;
  auto images = std::make_shared<Images>();
  images->pixels = at::zeros({1, config_.channels, side, side * patches}, at::kByte);
  images->scale = images->shift = at::zeros({config_.channels, 1, 1}, at::kFloat);
  return images;
}

// The convolution whose stride is its size is a product with the patches: rows and columns that fill none are
// left out. pixels [B, channels, H, W] -> [1 or K, B, patches, C]
at::Tensor ImageModel::patches(const Pass& pass, const at::Tensor& pixels) const {
  const auto [height, width] = grid(pixels);
  const int64_t p = config_.patch_size, images = pixels.size(0);
  const auto cut = pixels.narrow(2, 0, height * p).narrow(3, 0, width * p);
  const auto rows = cut.reshape({images, config_.channels, height, p, width, p})
                        .permute({0, 2, 4, 1, 3, 5})
                        .reshape({1, images * height * width, -1});  // [1, B patches, channels p p]
  const auto weight = kProjection + ".weight";
  std::vector<at::Tensor> products;
  for (int64_t k = 0; k < (pass.is_shared(weight) ? 1 : pass.lanes); ++k)
    products.push_back(at::linear(rows, pass.matrix(weight, k).flatten(1)));
  const auto product = products.size() == 1 ? products[0] : at::cat(products);
  const auto all = product + pass.vector(kProjection + ".bias");
  return all.view({all.size(0), images, height * width, -1});
}

// The table, its patches interpolated where the image has another size. [1 or K, lead + patches, C]
at::Tensor ImageModel::positions(const Pass& pass, int64_t height, int64_t width) const {
  const auto table = tokens_of(pass, kEmbeddings + "position_embeddings");
  const int64_t side = config_.image_size / config_.patch_size;
  if (height == side && width == side) return table;
  const auto square = table.narrow(1, lead(), side * side)
                          .reshape({table.size(0), side, side, -1})
                          .permute({0, 3, 1, 2})
                          .contiguous();  // [1 or K, C, side, side]
  const auto other = config_.antialias ? at::_upsample_bicubic2d_aa(square, {height, width}, false)
                                       : at::upsample_bicubic2d(square, {height, width}, false);
  return at::cat({table.narrow(1, 0, lead()), other.flatten(2).transpose(1, 2)}, 1);
}

at::Tensor ImageModel::embed(const Pass& pass) const {
  const auto& layout = pass.layout;
  const auto images = static_cast<int64_t>(layout.words.size());
  std::vector<int64_t> first_rows;
  for (const auto& words : layout.words) first_rows.push_back(words.row);
  const auto numbers = layout.ids.index_select(0, at::tensor(first_rows, at::kLong));
  const auto pixels =
      pass.images->pixels.index_select(0, numbers).to(at::kFloat) * pass.images->scale + pass.images->shift;
  const auto [height, width] = grid(pixels);

  const auto places = positions(pass, height, width);
  std::vector<at::Tensor> parts{tokens_of(pass, kEmbeddings + "cls_token")};
  if (lead() > 1) parts.push_back(tokens_of(pass, kEmbeddings + "distillation_token"));
  for (size_t i = 0; i < parts.size(); ++i)
    parts[i] = parts[i] + places.narrow(1, static_cast<int64_t>(i), 1);  // [1 or K, 1, C]
  if (config_.registers > 0) parts.push_back(tokens_of(pass, kEmbeddings + "register_tokens"));
  for (auto& part : parts) part = part.unsqueeze(1);  // [1 or K, 1, T, C]
  parts.push_back(patches(pass, pixels) + places.narrow(1, lead(), height * width).unsqueeze(1));
  int64_t lanes = 1;
  for (const auto& part : parts) lanes = std::max(lanes, part.size(0));
  for (auto& part : parts) part = part.expand({lanes, images, -1, -1});
  auto rows = at::cat(parts, 2);  // [1 or K, B, T, C]
  if (layout.prompt > 0) rows = at::constant_pad_nd(rows, {0, 0, layout.prompt, 0});
  return pass.with_prompts(rows.reshape({lanes, layout.rows, -1}));
}

at::Tensor ImageModel::attend(const Pass& pass, int64_t layer, const std::string& attention,
                              const at::Tensor& x, const at::Tensor& residual) const {
  const auto q = heads_of(pass.linear(attention + ".q_proj", x), config_.heads);
  const auto k = heads_of(pass.linear(attention + ".k_proj", x), config_.heads);
  const auto v = heads_of(pass.linear(attention + ".v_proj", x), config_.heads);
  const auto mixed = pass.attention(layer, q, k, v, false);
  if (!residual.defined()) return pass.linear(attention + ".o_proj", mixed);
  return pass.sublayer(Point::kAttention, layer, attention + ".o_proj", mixed, residual);
}

at::Tensor ImageModel::finish(const Pass& pass, const at::Tensor& h) const {
  (void)pass;
  return h;
}

at::Tensor ImageModel::pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const {
  return pass.layer_norm("layernorm", finished.index_select(1, rows));
}

std::vector<ParameterSpec> Vit::declare() const {
  const auto& c = config_;
  Declare declare;
  declare_ends(declare);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = block_of(*this, i);
    declare_attention(declare, name + ".attention", c);
    declare.layer_norm(name + ".layernorm_before", c.hidden_size);
    declare.layer_norm(name + ".layernorm_after", c.hidden_size);
    declare.linear(name + ".mlp.fc1", c.hidden_size, c.intermediate_size, true);
    declare.linear(name + ".mlp.fc2", c.intermediate_size, c.hidden_size, true);
  }
  return std::move(declare).list();
}

at::Tensor Vit::block(const Pass& pass, int64_t layer, const at::Tensor& given) const {
  const auto name = block_of(*this, layer);
  const auto h = pass.with_deep_prompts(layer, given);
  const auto after =
      attend(pass, layer, name + ".attention", pass.layer_norm(name + ".layernorm_before", h), h);
  const auto inner = pass.linear(name + ".mlp.fc1", pass.layer_norm(name + ".layernorm_after", after));
  return pass.sublayer(Point::kMlp, layer, name + ".mlp.fc2", pass.activate(inner), after);
}

std::vector<ParameterSpec> Dinov2::declare() const {
  const auto& c = config_;
  Declare declare;
  declare_ends(declare);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = block_of(*this, i), mlp = name + ".mlp";
    declare.layer_norm(name + ".norm1", c.hidden_size);
    declare_attention(declare, name + ".attention", c);
    declare.other(name + ".layer_scale1.lambda1", {c.hidden_size}, Init::kOnes);
    declare.layer_norm(name + ".norm2", c.hidden_size);
    if (c.gated_mlp) declare.linear(mlp + ".gate_proj", c.hidden_size, c.intermediate_size, true);
    declare.linear(mlp + (c.gated_mlp ? ".up_proj" : ".fc1"), c.hidden_size, c.intermediate_size, true);
    declare.linear(mlp + (c.gated_mlp ? ".down_proj" : ".fc2"), c.intermediate_size, c.hidden_size, true);
    declare.other(name + ".layer_scale2.lambda1", {c.hidden_size}, Init::kOnes);
  }
  return std::move(declare).list();
}

at::Tensor Dinov2::block(const Pass& pass, int64_t layer, const at::Tensor& given) const {
  const auto name = block_of(*this, layer), mlp = name + ".mlp";
  const auto h = pass.with_deep_prompts(layer, given);
  const auto attended = attend(pass, layer, name + ".attention", pass.layer_norm(name + ".norm1", h), {});
  const auto after = h + attended * pass.vector(name + ".layer_scale1.lambda1");

  const auto x = pass.layer_norm(name + ".norm2", after);
  const auto inner = config_.gated_mlp
                         ? pass.activate(pass.linear(mlp + ".gate_proj", x), pass.linear(mlp + ".up_proj", x))
                         : pass.activate(pass.linear(mlp + ".fc1", x));
  const auto out = pass.linear(mlp + (config_.gated_mlp ? ".down_proj" : ".fc2"), inner);
  return after + out * pass.vector(name + ".layer_scale2.lambda1");
}

at::Tensor Dinov2::pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const {
  const auto states = pass.layer_norm("layernorm", finished);
  const int64_t images = rows.numel(), tokens = pass.layout.words.front().length;
  const auto each = pass.layout.word_rows();
  const auto words = states.index_select(1, each).view({states.size(0), images, tokens, -1});
  const int64_t first = lead() + config_.registers;
  return at::cat({states.index_select(1, rows), words.narrow(2, first, tokens - first).mean(2)}, -1);
}

}  // namespace cortune
