// Runs variants: the unchanged readings of a batch of items first, whose state at every block is kept; then
// pieces of the variants, each from the block where the first of them differs. Pieces run one a thread.
#include "variants.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "../error.h"
#include "chunk.h"
#include "look.h"

namespace cortune {
namespace {

using Sequences = std::vector<std::vector<int32_t>>;

void check(const Model& model, const VariantArgs& args) {
  const auto& config = model.config();
  if (model.head_weight().empty())
    fail(Code::kArgument, "Expected a causal model (llama, gpt2, neox, opt) to score tokens, got family `" +
                              config.family + "`.");
  if (!args.others.empty() && args.others.size() != args.items.size())
    fail(Code::kArgument, "Expected as many `others` as items.");
  for (size_t i = 0; i < args.others.size(); ++i)
    if (args.others[i].size() != args.items[i].size())
      fail(Code::kArgument, "Expected the other reading of item " + std::to_string(i + 1) + " to have " +
                                std::to_string(args.items[i].size()) + " tokens as the item has, got " +
                                std::to_string(args.others[i].size()) + ".");
  for (const auto& scored : args.scored)
    if (scored.item < 0 || scored.item >= static_cast<int64_t>(args.items.size()) || scored.position < 0 ||
        scored.position >= static_cast<int64_t>(args.items[scored.item].size()) || scored.token < 0 ||
        scored.token >= config.vocab_size)
      fail(Code::kArgument, "Expected `scored` to name positions of items and tokens of the vocabulary.");
  int64_t variant = 0;
  for (const auto& edit : args.edits) {
    const int64_t heads = edit.point == Point::kHeads ? config.heads : 0;
    if (edit.layer < 0 || edit.layer >= config.layers || edit.head >= heads || edit.variant < variant ||
        edit.variant >= args.variants)
      fail(Code::kArgument, "Expected `edits` to name layers and heads of the model, variant by variant.");
    if (edit.instead == Instead::kOther && args.others.empty())
      fail(Code::kArgument, "Expected `others` for edits that copy from them.");
    if (edit.instead == Instead::kMean && args.reference.empty())
      fail(Code::kArgument, "Expected `reference` for edits that put means.");
    variant = edit.variant;
  }
}

// Those with edits, by where they first differ; and those without.
std::vector<Variant> sorted_variants(const VariantArgs& args) {
  std::vector<Variant> variants;
  for (const auto& edit : args.edits) {
    if (variants.empty() || variants.back().number != edit.variant) variants.push_back({edit.variant, {}});
    variants.back().edits.push_back(edit);
  }
  const auto earlier = [](const Edit& a, const Edit& b) {
    return Place{a.layer, a.point} < Place{b.layer, b.point};
  };
  for (auto& variant : variants) std::stable_sort(variant.edits.begin(), variant.edits.end(), earlier);
  std::stable_sort(variants.begin(), variants.end(),
                   [](const Variant& a, const Variant& b) { return a.joins() < b.joins(); });
  return variants;
}

// One call of `score_variants`.
class Run {
 public:
  Run(const Model& model, const Delta* delta, const VariantArgs& args, const Task& task)
      : model_(model),
        delta_(delta),
        args_(args),
        task_(task),
        bases_(args.others.empty() ? 1 : 2),
        variants_(sorted_variants(args)) {
    const auto rows = bases_ + args.variants, columns = static_cast<int64_t>(args.scored.size());
    scores_ = {at::zeros({rows, columns}, at::kDouble), at::zeros({rows, columns}, at::kDouble)};
    for (const auto& edit : args.edits)
      if (edit.instead == Instead::kMean && means_.count(edit.point) == 0)
        means_[edit.point] = mean_of(model, delta, args.reference, edit.point, args.half, task);
  }

  VariantScores run() {
    const auto batches = batches_of(args_.items, args_.others, args_.rows);
    const auto threads = static_cast<size_t>(at::get_num_threads());
    total_ = static_cast<int64_t>(batches.size() * (variants_.size() + 1));
    for (size_t first = 0; first < batches.size(); first += threads)
      run_batches({batches.begin() + first, batches.begin() + std::min(first + threads, batches.size())});
    return scores_;
  }

 private:
  struct Piece {
    size_t batch;
    std::vector<Variant> variants;
  };

  // A few batches: their unchanged readings, one a thread, then all pieces of all variants.
  void run_batches(const std::vector<ItemBatch>& batches) {
    std::vector<std::unique_ptr<Frame>> frames(batches.size());
    std::vector<std::vector<at::Tensor>> states(batches.size());
    on_threads(batches.size(), [&](size_t i) {
      frames[i] = std::make_unique<Frame>(model_, delta_, batches[i], args_.items, args_.scored, args_.half);
      states[i] = read(*frames[i], batches[i]);
      note(1);
    });
    std::vector<Piece> pieces;
    for (size_t i = 0; i < batches.size(); ++i) {
      const auto lanes =
          static_cast<size_t>(std::max<int64_t>(1, args_.together / frames[i]->pass.layout.rows));
      for (size_t v = 0; v < variants_.size(); v += lanes)
        pieces.push_back(
            {i, {variants_.begin() + v, variants_.begin() + std::min(v + lanes, variants_.size())}});
    }
    on_threads(pieces.size(), [&](size_t i) {
      run_piece(*frames[pieces[i].batch], states[pieces[i].batch], pieces[i].variants);
      note(static_cast<int64_t>(pieces[i].variants.size()));
    });
  }

  template <typename Work>
  void on_threads(size_t count, const Work& work) {
    std::atomic<size_t> next{0};
    const auto workers = std::min<int64_t>(at::get_num_threads(), static_cast<int64_t>(count));
    at::parallel_for(0, workers, 1, [&](int64_t, int64_t) {
      at::NoGradGuard no_grad;  // a thread's own setting
      for (size_t i; (i = next++) < count;) work(i);
    });
  }

  void note(int64_t done) { task_.progress(done_ += done, total_, "scoring"); }

  // The unchanged readings: scored, their state before every block kept. [1 or 2, N, C]
  std::vector<at::Tensor> read(Frame& frame, const ItemBatch& batch) {
    Chunk chunk(model_, frame, means_, {}, bases_);
    auto pass = frame.pass;
    pass.hooks = &chunk;
    auto h = model_.embed(pass);
    if (bases_ == 2)
      h = at::cat({h, model_.embed(Frame(model_, delta_, batch, args_.others, {}, args_.half).pass)});
    std::vector<at::Tensor> states;
    for (int64_t layer = 0; layer < model_.config().layers; ++layer) {
      task_.check();
      states.push_back(h);
      h = model_.block(pass, layer, h);
    }
    std::vector<int64_t> rows{0};
    if (bases_ == 2) rows.push_back(1);
    put(frame, h, rows);
    return states;
  }

  void run_piece(const Frame& frame, const std::vector<at::Tensor>& states,
                 const std::vector<Variant>& variants) {
    Chunk chunk(model_, frame, means_, variants, bases_);
    auto pass = frame.pass;
    pass.hooks = &chunk;
    auto h = states[chunk.first_layer()];
    for (int64_t layer = chunk.first_layer(); layer < model_.config().layers; ++layer) {
      task_.check();
      if (chunk.wants(Point::kResidual, layer)) h = chunk.at(Point::kResidual, layer, h);
      h = chunk.leave(layer, model_.block(pass, layer, h));
    }
    std::vector<int64_t> rows;
    for (const auto number : chunk.order()) rows.push_back(bases_ + number);
    put(frame, h, rows);
  }

  // Scores of the scored rows' states [K, M, C] into rows of the result; each column belongs to one batch.
  void put(const Frame& frame, const at::Tensor& h, const std::vector<int64_t>& rows) {
    if (frame.tokens.empty()) return;
    at::Tensor log_p, hits;
    frame.score(model_, h, log_p, hits);
    const int64_t columns = scores_.log_p.size(1);
    const auto count = static_cast<int64_t>(frame.tokens.size());
    for (size_t k = 0; k < rows.size(); ++k)
      for (int64_t s = 0; s < count; ++s) {
        const auto to = rows[k] * columns + frame.tokens[s], from = static_cast<int64_t>(k) * count + s;
        scores_.log_p.data_ptr<double>()[to] = log_p.data_ptr<double>()[from];
        scores_.hits.data_ptr<double>()[to] = hits.data_ptr<double>()[from];
      }
  }

  const Model& model_;
  const Delta* delta_;
  const VariantArgs& args_;
  const Task& task_;
  int64_t bases_;
  std::vector<Variant> variants_;
  Means means_;
  VariantScores scores_;
  int64_t total_ = 0;
  std::atomic<int64_t> done_{0};
};

}  // namespace

VariantScores score_variants(const Model& model, const Delta* delta, const VariantArgs& args,
                             const Task& task) {
  at::NoGradGuard no_grad;
  check(model, args);
  return Run(model, delta, args, task).run();
}

}  // namespace cortune
