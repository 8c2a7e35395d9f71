// The loop: prompts of a batch are read in a few passes, then every step adds one word to all rows that go
// on. Rows that end leave; lanes end at different times, so a lane with fewer rows than another is filled up
// with rows that nobody looks at.
#include "generate.h"

#include <algorithm>
#include <numeric>

#include "../error.h"
#include "../hash.h"
#include "../model/cache.h"
#include "../ops/product.h"

namespace cortune {
namespace {

// Rows of one reading pass over all lanes.
constexpr int64_t kReadRows = 1024;

// A text that goes on.
struct Row {
  size_t search;
  int32_t token;     // the last, which the model has not read yet
  int64_t position;  // of that token
  History history;
};

// What the model gives for rows of every lane.
struct Logits {
  at::Tensor values;  // [1 or K, N, V]
  float* row(int64_t lane, int64_t n) const {
    const int64_t k = values.size(0) == 1 ? 0 : lane;
    return values.data_ptr<float>() + (k * values.size(1) + n) * values.size(2);
  }
};

// What each prompt's draws depend on: its words, and how often the same prompt came before. So a text does
// not depend on what it is written beside.
std::vector<uint64_t> keys_of(const std::vector<std::vector<int32_t>>& prompts) {
  std::map<std::vector<int32_t>, uint64_t> seen;
  std::vector<uint64_t> keys;
  for (const auto& prompt : prompts) keys.push_back(hash_of(prompt) + seen[prompt]++);
  return keys;
}

// One call of `generate`.
class Generation {
 public:
  Generation(const Model& model, const Delta* delta, const GenerateArgs& args, const Task& task)
      : model_(model),
        delta_(delta),
        args_(args),
        task_(task),
        lanes_(delta ? delta->lanes() : 1),
        keys_(keys_of(args.prompts)),
        results_(lanes_, std::vector<Written>(args.prompts.size())) {}

  std::vector<std::vector<Written>> run() {
    // Equally long prompts beside each other are read faster, and batches end together.
    std::vector<size_t> order(args_.prompts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return args_.prompts[a].size() > args_.prompts[b].size(); });
    const auto at_once = static_cast<size_t>(std::max<int64_t>(1, args_.batch / args_.rules.beams));
    for (size_t from = 0; from < order.size(); from += at_once) {
      const size_t to = std::min(order.size(), from + at_once);
      write({order.begin() + static_cast<int64_t>(from), order.begin() + static_cast<int64_t>(to)});
    }
    return std::move(results_);
  }

 private:
  // The vocabulary's scores from finished rows h [1 or K, N, C].
  Logits project(const Pass& pass, const at::Tensor& last) const {
    const auto name = model_.head_weight();
    const auto h = model_.head_input(pass, model_.finish(pass, last));
    const auto product = [&](const at::Tensor& rows, const at::Tensor& weight) {
      return times(rows.reshape({-1, rows.size(-1)}), weight).view({rows.size(0), rows.size(1), -1});
    };
    if (pass.is_shared(name))
      return {product(h, args_.half ? model_.parameters().half(name) : model_.parameters().at(name))};
    std::vector<at::Tensor> parts;
    for (int64_t k = 0; k < lanes_; ++k)
      parts.push_back(product(h.narrow(0, h.size(0) == 1 ? 0 : k, 1), pass.matrix(name, k)));
    return {at::cat(parts)};
  }

  Logits through_blocks(const Pass& pass, const at::Tensor& last_rows) const {
    auto h = model_.embed(pass);
    for (int64_t i = 0; i < model_.config().layers; ++i) {
      task_.check();
      h = model_.block(pass, i, h);
    }
    return project(pass, last_rows.defined() ? h.index_select(1, last_rows) : h);
  }

  // Writes after these prompts.
  void write(const std::vector<size_t>& prompts) {
    KeyValueCache cache(model_.config().layers, lanes_);
    std::vector<std::vector<std::unique_ptr<Search>>> searches(lanes_);
    std::vector<std::vector<Row>> rows(lanes_);
    for (size_t from = 0, to; from < prompts.size(); from = to) {
      int64_t tokens = 0;
      for (to = from; to < prompts.size() && (to == from || tokens < kReadRows / lanes_); ++to)
        tokens += static_cast<int64_t>(args_.prompts[prompts[to]].size());
      read({prompts.begin() + static_cast<int64_t>(from), prompts.begin() + static_cast<int64_t>(to)}, cache,
           searches, rows);
    }
    while (step(cache, searches, rows)) {
    }
    for (int64_t k = 0; k < lanes_; ++k)
      for (size_t b = 0; b < prompts.size(); ++b) results_[k][prompts[b]] = searches[k][b]->result();
    done_ += static_cast<int64_t>(prompts.size());
  }

  void read(const std::vector<size_t>& prompts, KeyValueCache& cache,
            std::vector<std::vector<std::unique_ptr<Search>>>& searches,
            std::vector<std::vector<Row>>& rows) {
    std::vector<std::vector<int32_t>> sequences;
    for (const auto b : prompts) sequences.push_back(args_.prompts[b]);
    auto pass = model_.pass(sequences, delta_, args_.half);
    pass.cache = &cache;
    auto histories = cache.begin_reading(pass.layout);
    std::vector<int64_t> last;
    for (const auto& words : pass.layout.words) last.push_back(words.row + words.length - 1);
    const auto logits = through_blocks(pass, at::tensor(last, at::kLong));
    for (int64_t k = 0; k < lanes_; ++k)
      for (size_t b = 0; b < prompts.size(); ++b) {
        const size_t number = searches[k].size();
        searches[k].push_back(make_search(args_.rules, keys_[prompts[b]]));
        const auto position = static_cast<int64_t>(histories[k][b].size()) - 1;
        const Row start{number, 0, position, std::move(histories[k][b])};
        go_on(*searches[k].back(), {&start}, {logits.row(k, static_cast<int64_t>(b))}, rows[k]);
      }
  }

  // Adds the rows that go on from `rows`, which are those of one search.
  void go_on(Search& search, const std::vector<const Row*>& rows, const std::vector<float*>& logits,
             std::vector<Row>& into) const {
    for (const auto& [from, token] : search.advance(logits, model_.config().vocab_size))
      into.push_back({rows[from]->search, token, rows[from]->position + 1, rows[from]->history});
  }

  // One word more for all rows; false when none is left.
  bool step(KeyValueCache& cache, std::vector<std::vector<std::unique_ptr<Search>>>& searches,
            std::vector<std::vector<Row>>& rows) {
    size_t most = 0;
    for (const auto& lane : rows) most = std::max(most, lane.size());
    if (most == 0) return false;
    auto pass = step_pass(rows, static_cast<int64_t>(most));
    std::vector<std::vector<History>> idle(lanes_);  // of rows nobody looks at
    std::vector<std::vector<History*>> histories(lanes_);
    for (int64_t k = 0; k < lanes_; ++k) {
      idle[k].resize(most - rows[k].size());
      for (auto& row : rows[k]) histories[k].push_back(&row.history);
      for (auto& history : idle[k]) histories[k].push_back(&history);
    }
    pass.cache = &cache;
    cache.begin_step(std::move(histories));
    const auto logits = through_blocks(pass, {});
    task_.progress(done_, static_cast<int64_t>(args_.prompts.size()), "writing");
    for (int64_t k = 0; k < lanes_; ++k) rows[k] = next_rows(k, logits, searches[k], rows[k]);
    return true;
  }

  std::vector<Row> next_rows(int64_t lane, const Logits& logits,
                             std::vector<std::unique_ptr<Search>>& searches,
                             const std::vector<Row>& rows) const {
    std::vector<Row> next;
    for (size_t n = 0; n < rows.size();) {
      std::vector<const Row*> own;
      std::vector<float*> given;
      const size_t search = rows[n].search;
      for (; n < rows.size() && rows[n].search == search; ++n) {
        own.push_back(&rows[n]);
        given.push_back(logits.row(lane, static_cast<int64_t>(n)));
      }
      go_on(*searches[search], own, given, next);
    }
    return next;
  }

  // A pass of one word a row.
  Pass step_pass(const std::vector<std::vector<Row>>& rows, int64_t most) const {
    Pass pass{model_.config(), model_.parameters(), delta_, {}, lanes_, args_.half, {}, {}};
    auto& layout = pass.layout;
    layout.rows = most;
    layout.ids = at::zeros({lanes_, most}, at::kLong);
    layout.positions = at::zeros({lanes_, most}, at::kLong);
    for (int64_t k = 0; k < lanes_; ++k)
      for (size_t n = 0; n < rows[k].size(); ++n) {
        layout.ids.data_ptr<int64_t>()[k * most + static_cast<int64_t>(n)] = rows[k][n].token;
        layout.positions.data_ptr<int64_t>()[k * most + static_cast<int64_t>(n)] = rows[k][n].position;
      }
    if (model_.config().rope_theta > 0) pass.rotary = rotary_tables(model_.config(), layout);
    return pass;
  }

  const Model& model_;
  const Delta* delta_;
  const GenerateArgs& args_;
  const Task& task_;
  int64_t lanes_;
  std::vector<uint64_t> keys_;
  std::vector<std::vector<Written>> results_;
  int64_t done_ = 0;
};

int64_t virtual_tokens(const Delta* delta) {
  int64_t most = 0;
  if (!delta) return most;
  const auto added = delta->virtual_tokens();
  for (const auto& prompt : added.prompts) most = std::max(most, prompt.tokens.size(1));
  for (const auto& prefix : added.prefixes) most = std::max(most, prefix.states.size(1));
  return most;
}

void check_lengths(const Model& model, const Delta* delta, const GenerateArgs& args) {
  const int64_t added = virtual_tokens(delta), fresh = args.rules.stops.longest;
  const int64_t room = model.config().max_positions - added - fresh;
  for (size_t i = 0; i < args.prompts.size(); ++i) {
    const auto size = static_cast<int64_t>(args.prompts[i].size());
    if (size <= room) continue;
    fail(Code::kData, "Expected prompts of at most " + std::to_string(std::max<int64_t>(room, 0)) +
                          " tokens (the model's context of " + std::to_string(model.config().max_positions) +
                          ", less " + std::to_string(fresh) + " new tokens" +
                          (added > 0 ? " and " + std::to_string(added) + " virtual ones" : std::string()) +
                          "), got " + std::to_string(size) + " at number " + std::to_string(i + 1) +
                          ". Shorten it, or ask for fewer new tokens.");
  }
}

}  // namespace

std::vector<std::vector<Written>> generate(const Model& model, const Delta* delta, const GenerateArgs& args,
                                           const Task& task) {
  if (model.head_weight().empty() || !model.causal())
    fail(Code::kConfig, "Expected a causal model, which writes texts; an encoder does not.");
  if (args.rules.stops.longest < 1) fail(Code::kArgument, "Expected at least one new token to be asked for.");
  check_lengths(model, delta, args);
  at::NoGradGuard no_grad;
  return Generation(model, delta, args, task).run();
}

}  // namespace cortune
