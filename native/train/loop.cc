// The training loop.
#include "loop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "../error.h"
#include "forward.h"

namespace cortune {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

void check_train_args(const Model& model, const Objective& objective, const TrainArgs& args, int64_t lanes) {
  objective.check(model);
  check_examples(objective, args.examples);
  check_examples(objective, args.validation);
  if (static_cast<int64_t>(args.order.size()) != args.steps * args.passes * args.batch ||
      static_cast<int64_t>(args.schedule.size()) != args.steps * lanes)
    fail(
        Code::kArgument,
        "Expected `order` to hold steps x passes x batch numbers and `schedule` one factor a step and lane.");
  for (const auto factor : args.schedule)
    if (!std::isfinite(factor))
      fail(Code::kArgument,
           "Expected `schedule` to hold finite factors, got " + std::to_string(factor) + ".");
  for (const auto number : args.order)
    if (number >= static_cast<int32_t>(args.examples.sequences.size()))
      fail(Code::kArgument, "Expected `order` to name sequences below " +
                                std::to_string(args.examples.sequences.size()) + ".");
  if (args.rungs.size() != args.keep.size())
    fail(Code::kArgument, "Expected `keep` to hold a number for each of `rungs`.");
  const bool evaluates = args.every > 0 || args.patience > 0;
  if (evaluates && args.validation.sequences.empty())
    fail(Code::kArgument, "Expected `validation` to hold sequences to evaluate, got none.");
}

// One run of `train`. A place is a lane's number in the set as it is now; a lane, its number at the start.
class Run {
 public:
  Run(const Model& model, LaneSet& set, const Objective& objective, const TrainArgs& args, const Task& task)
      : model_(model),
        set_(set),
        objective_(objective),
        args_(args),
        task_(task),
        lanes_(set.lanes()),
        optimiser_(set.trainable(), args.optimiser),
        lane_at_(lanes_),
        best_(lanes_, std::numeric_limits<double>::infinity()),
        waited_(lanes_, 0),
        since_rung_(lanes_, 0),
        result_{{},
                std::vector<int64_t>(lanes_, -1),
                std::vector<int64_t>(lanes_, -1),
                std::vector<std::string>(lanes_),
                {},
                {},
                std::vector<int64_t>(lanes_, 0),
                std::vector<NamedTensors>(lanes_)} {
    std::iota(lane_at_.begin(), lane_at_.end(), 0);
  }

  TrainResult train() {
    for (int64_t step = 0; step < args_.steps && !lane_at_.empty(); ++step) {
      leaving_.assign(lane_at_.size(), false);
      update(step);
      const bool rung = std::find(args_.rungs.begin(), args_.rungs.end(), step + 1) != args_.rungs.end();
      if (due(step + 1, rung)) validate(step + 1);
      if (rung) halve(step + 1);
      drop();
    }
    result_.losses.resize(args_.steps * lanes_, kNone);
    finish();
    return std::move(result_);
  }

 private:
  size_t places() const { return lane_at_.size(); }

  // The step's batches, one a pass.
  std::vector<Batch> batches(int64_t step) const {
    std::vector<Batch> list;
    for (int64_t pass = 0; pass < args_.passes; ++pass) {
      const auto from = args_.order.begin() + (step * args_.passes + pass) * args_.batch;
      auto batch = assemble(args_.examples, {from, from + args_.batch});
      if (!batch.sequences.empty()) list.push_back(std::move(batch));
    }
    return list;
  }

  // What the step's batches come to: the mean loss of each place, its gradients in the leaves (their sums
  // over rows where there are several passes), and how many rows that was. [places]
  struct Backward {
    std::vector<double> losses;
    at::Tensor counts;
  };

  Backward backward(int64_t step) {
    const auto list = batches(step);
    const bool whole = list.size() == 1;
    auto sums = at::zeros({set_.lanes()}, at::kDouble), counts = at::zeros({set_.lanes()}, at::kDouble);
    set_.set_training(true);
    for (size_t i = 0; i < list.size(); ++i) {
      at::AutoGradMode with_grad(true);
      const auto pass = model_.pass(list[i].sequences, &set_, args_.half, list[i].images);
      const auto scored = objective_.select(model_, pass, list[i].labels);
      if (scored.counts.min().item<double>() == 0) continue;
      const auto loss =
          objective_.loss(model_, pass, run_blocks(model_, pass, args_.checkpointing, task_), scored);
      counts += scored.counts;
      const auto penalty = i + 1 == list.size() ? set_.penalty() : at::Tensor();
      auto total = whole ? loss.sum() : (loss * scored.counts.to(at::kFloat)).sum();
      if (penalty.defined()) total = total + (whole ? penalty : penalty * counts.to(at::kFloat)).sum();
      total.backward();
      sums += loss.detach().to(at::kDouble) * scored.counts;
    }
    set_.set_training(false);
    if (counts.numel() == 0 || counts.min().item<double>() == 0)
      fail(Code::kData, "Expected every batch to have something to learn, got none at step " +
                            std::to_string(step + 1) + ". Use texts of at least two tokens.");
    const auto means = (sums / counts).contiguous();
    return {{means.data_ptr<double>(), means.data_ptr<double>() + places()},
            whole ? at::ones_like(counts) : counts};
  }

  void update(int64_t step) {
    set_.before_step(step, args_.steps);
    const auto [losses, counts] = backward(step);
    std::vector<double> now(lanes_, kNone);
    std::vector<LaneStep> steps;
    for (size_t k = 0; k < places(); ++k) {
      const int64_t lane = lane_at_[k];
      const auto& spec = set_.spec(static_cast<int64_t>(k));
      const bool finite = std::isfinite(losses[k]);
      steps.push_back({spec.lr * args_.schedule[step * lanes_ + lane], spec.weight_decay,
                       1 / counts[static_cast<int64_t>(k)].item<double>(), finite});
      if (!finite) fails(k, step);
      if (finite) now[lane] = losses[k];
      since_rung_[lane] += losses[k];
    }
    set_.before_update(step, args_.steps);
    const auto clips = optimiser_.step(steps);
    set_.after_step({step, args_.steps, clips});
    optimiser_.forget_gradients();
    for (size_t k = 0; k < places(); ++k)
      if (clips[k] == 0) fails(k, step);
    result_.losses.insert(result_.losses.end(), now.begin(), now.end());
    for (size_t k = 0; k < places(); ++k)
      if (!leaving_[k]) result_.best_at[lane_at_[k]] = step + 1;
    task_.progress(step + 1, args_.steps, "tuning", now);
  }

  // Recorded, and left as it was before the step.
  void fails(size_t place, int64_t step) {
    leaving_[place] = true;
    result_.failed_at[lane_at_[place]] = step;
  }

  void stops(size_t place, int64_t updates, const char* reason) {
    leaving_[place] = true;
    result_.stopped_at[lane_at_[place]] = updates;
    result_.stopped_by[lane_at_[place]] = reason;
  }

  bool due(int64_t updates, bool rung) const {
    if (args_.validation.sequences.empty()) return false;
    return rung || updates == args_.steps || (args_.every > 0 && updates % args_.every == 0);
  }

  void validate(int64_t updates) {
    const auto losses = evaluate(model_, &set_, objective_, args_.validation, args_.batch, args_.half, task_);
    std::vector<double> now(lanes_, kNone);
    for (size_t k = 0; k < places(); ++k) {
      if (leaving_[k]) continue;
      const int64_t lane = lane_at_[k];
      now[lane] = losses[k];
      if (losses[k] < best_[lane]) {
        best_[lane] = losses[k];
        waited_[lane] = 0;
        if (args_.patience > 0) keep_state(k, updates);
      } else if (++waited_[lane] >= args_.patience && args_.patience > 0) {
        stops(k, updates, "patience");
      }
    }
    result_.validation.insert(result_.validation.end(), now.begin(), now.end());
    result_.validated_at.push_back(updates);
  }

  // Successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943): the best go on, by validation loss
  // where there is one, else by the mean loss since the last rung (all lanes saw the same batches).
  void halve(int64_t updates) {
    const auto rung = std::find(args_.rungs.begin(), args_.rungs.end(), updates) - args_.rungs.begin();
    std::vector<size_t> order;
    for (size_t k = 0; k < places(); ++k)
      if (!leaving_[k]) order.push_back(k);
    const auto score = [&](size_t k) {
      const int64_t lane = lane_at_[k];
      const double value = result_.validated_at.empty()
                               ? since_rung_[lane]
                               : result_.validation[result_.validation.size() - lanes_ + lane];
      return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
    };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score(a) < score(b); });
    for (size_t i = args_.keep[rung]; i < order.size(); ++i) stops(order[i], updates, "halving");
    since_rung_.assign(lanes_, 0);
  }

  NamedTensors state(size_t place) const {
    auto list = set_.state(static_cast<int64_t>(place));
    for (auto& [name, tensor] : list) tensor = tensor.clone();
    return list;
  }

  void keep_state(size_t place, int64_t updates) {
    result_.states[lane_at_[place]] = state(place);
    kept_at_.resize(lanes_, -1);
    kept_at_[lane_at_[place]] = updates;
  }

  // Lanes that leave take their state with them; the others close up.
  void drop() {
    std::vector<int64_t> keep;
    for (size_t k = 0; k < places(); ++k) {
      if (!leaving_[k]) {
        keep.push_back(static_cast<int64_t>(k));
      } else if (result_.states[lane_at_[k]].empty()) {
        result_.states[lane_at_[k]] = state(k);
      }
    }
    if (keep.size() == places()) return;
    std::vector<int64_t> lanes;
    for (const auto place : keep) lanes.push_back(lane_at_[place]);
    lane_at_ = std::move(lanes);
    if (keep.empty()) return;
    set_.keep(keep);
    optimiser_.keep(set_.trainable(), keep);
  }

  void finish() {
    const bool whole = set_.lanes() == lanes_;
    for (size_t k = 0; k < places(); ++k) {
      auto& kept = result_.states[lane_at_[k]];
      if (kept.empty() && !whole) kept = state(k);
    }
    for (size_t lane = 0; lane < kept_at_.size(); ++lane)
      if (kept_at_[lane] >= 0) result_.best_at[lane] = kept_at_[lane];
  }

  const Model& model_;
  LaneSet& set_;
  const Objective& objective_;
  const TrainArgs& args_;
  const Task& task_;
  const int64_t lanes_;
  AdamW optimiser_;
  std::vector<int64_t> lane_at_;  // by place
  std::vector<bool> leaving_;     // by place, in this step
  std::vector<double> best_;      // by lane: validation loss
  std::vector<int64_t> waited_;   // by lane: evaluations since
  std::vector<double> since_rung_;
  std::vector<int64_t> kept_at_;  // by lane: updates of the kept state
  TrainResult result_;
};

}  // namespace

namespace {

// Columns [range) of a table of K columns.
std::vector<double> columns(const std::vector<double>& table, int64_t count, const LaneRange& range) {
  std::vector<double> part;
  for (size_t row = 0; row < table.size(); row += count) {
    const auto first = table.begin() + static_cast<int64_t>(row) + range.first;
    part.insert(part.end(), first, first + range.count);
  }
  return part;
}

void put_columns(std::vector<double>& table, int64_t count, const LaneRange& range,
                 const std::vector<double>& part) {
  const auto rows = static_cast<int64_t>(part.size()) / range.count;
  if (static_cast<int64_t>(table.size()) < rows * count) table.resize(rows * count, kNone);
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(part.begin() + row * range.count, range.count, table.begin() + row * count + range.first);
}

// Lanes in turns, each turn a set of its own whose states go back to their places.
class Turns {
 public:
  Turns(const Model& model, LaneSet& set, const std::string& objective, const TrainArgs& args,
        const Task& task)
      : model_(model), set_(set), objective_(objective), args_(args), task_(task), lanes_(set.lanes()) {}

  TrainResult train() {
    const int64_t turns = (lanes_ + args_.together - 1) / args_.together;
    for (int64_t turn = 0; turn < turns; ++turn) {
      const int64_t first = turn * lanes_ / turns;
      take_turn({first, (turn + 1) * lanes_ / turns - first}, turn, turns);
    }
    return std::move(result_);
  }

 private:
  void take_turn(const LaneRange& range, int64_t turn, int64_t turns) {
    auto args = args_;
    args.schedule = columns(args_.schedule, lanes_, range);
    auto part = set_.part(range);
    const Task task(task_, [&](Progress progress) {
      std::vector<double> values;
      put_columns(values, lanes_, range, progress.values);
      task_.progress(turn * args_.steps + progress.done, turns * args_.steps, progress.stage, values);
    });
    const auto objective = make_objective(objective_, part.head());
    auto own = Run(model_, part, *objective, args, task).train();
    for (int64_t k = 0; k < range.count; ++k)
      set_.load(range.first + k, own.states[k].empty() ? part.state(k) : own.states[k]);
    merge(range, own);
  }

  void merge(const LaneRange& range, const TrainResult& own) {
    const auto append = [](auto& all, const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
    put_columns(result_.losses, lanes_, range, own.losses);
    put_columns(result_.validation, lanes_, range, own.validation);
    append(result_.failed_at, own.failed_at);
    append(result_.stopped_at, own.stopped_at);
    append(result_.stopped_by, own.stopped_by);
    append(result_.best_at, own.best_at);
    result_.states.resize(lanes_);
    if (own.validated_at.size() > result_.validated_at.size()) result_.validated_at = own.validated_at;
  }

  const Model& model_;
  LaneSet& set_;
  const std::string& objective_;
  const TrainArgs& args_;
  const Task& task_;
  const int64_t lanes_;
  TrainResult result_;
};

}  // namespace

TrainResult train(const Model& model, LaneSet& set, const std::string& objective, const TrainArgs& args,
                  const Task& task) {
  const auto scored = make_objective(objective, set.head());
  check_train_args(model, *scored, args, set.lanes());
  if (args.together > 0 && args.together < set.lanes())
    return Turns(model, set, objective, args, task).train();
  return Run(model, set, *scored, args, task).train();
}

}  // namespace cortune
