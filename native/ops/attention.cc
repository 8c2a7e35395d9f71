// Attention: short sequences by our kernel, long ones, where the products themselves count, by libtorch's per
// group of equally long sequences.
#include "attention.h"

#include <algorithm>
#include <cmath>

#include "../error.h"
#include "../kernels/attention.h"
#include "dispatch.h"
#include "record.h"

namespace cortune {
namespace {

// Rows of one group as a batch of sequences. [K, N, H, D] -> [K * B, H, T, D]
at::Tensor as_batch(const at::Tensor& x, const Group& group, int64_t lanes) {
  auto rows = x.narrow(1, group.row, group.count * group.length).expand({lanes, -1, -1, -1});
  return rows.reshape({lanes * group.count, group.length, x.size(2), x.size(3)}).transpose(1, 2);
}

// The memory of each lane before each of its sequences. [K, M, H, D] -> [K * B, H, M, D]
at::Tensor memory_batch(const at::Tensor& x, const Group& group, int64_t lanes) {
  return x.unsqueeze(1)
      .expand({lanes, group.count, -1, -1, -1})
      .reshape({lanes * group.count, x.size(1), x.size(2), x.size(3)})
      .transpose(1, 2);
}

// Each key head serves heads / H_kv query heads.
at::Tensor serve(const at::Tensor& x, int64_t heads) {
  return x.size(2) == heads ? x : x.repeat_interleave(heads / x.size(2), 2);
}

// True where a query may see a key of its own sequence. [T, T]
at::Tensor own_mask(int64_t length, const AttentionRules& rules) {
  auto mask = at::ones({length, length}, at::kBool);
  if (rules.causal) mask.tril_();
  if (rules.causal && rules.window > 0) mask.triu_(1 - rules.window);
  return mask;
}

// Rows of prompts that a lane does not have are no keys. [K, T], all true where every lane has as many
at::Tensor prompt_mask(const Layout& layout, int64_t lanes, int64_t length) {
  auto mask = at::ones({lanes, length}, at::kBool);
  if (layout.counts.shared) return mask;
  for (int64_t k = 0; k < lanes; ++k)
    mask[k].narrow(0, 0, layout.prompt - layout.counts.prompt(k)).fill_(false);
  return mask;
}

// True where a query may see a virtual token before its sequence. [K, T, M]
at::Tensor memory_mask(const Memory& memory, int64_t length, const AttentionRules& rules) {
  const auto key = at::arange(memory.keys.size(1), at::kLong).view({1, 1, -1});
  const auto count = at::tensor(memory.counts, at::kLong).view({-1, 1, 1});
  auto mask = key.lt(count).expand({-1, length, -1});
  if (!rules.causal || rules.window <= 0) return mask;
  const auto query = at::arange(length, at::kLong).view({1, -1, 1}) + count;  // its position
  return mask.logical_and((query - key).lt(rules.window));
}

bool all_equal(const std::vector<int64_t>& counts) {
  return std::all_of(counts.begin(), counts.end(), [&](int64_t count) { return count == counts[0]; });
}

struct Shapes {
  int64_t lanes, heads;
};

// Needs no mask beyond causality: the fast path of libtorch.
bool is_plain(const Group& group, const Layout& layout, const Memory& memory, const AttentionRules& rules) {
  const bool windowed = rules.causal && rules.window > 0 && group.length > rules.window;
  const bool ragged = !layout.counts.shared && !all_equal(layout.counts.prompts);
  return !windowed && !ragged && !memory.keys.defined();
}

// [K * B, 1, T, M + T]
at::Tensor full_mask(const Group& group, const Layout& layout, const Memory& memory,
                     const AttentionRules& rules, int64_t lanes) {
  const int64_t length = group.length;
  auto mask =
      own_mask(length, rules).unsqueeze(0).logical_and(prompt_mask(layout, lanes, length).unsqueeze(1));
  if (memory.keys.defined())
    mask = at::cat({memory_mask(memory, length, rules).expand({lanes, -1, -1}), mask}, 2);
  return mask.unsqueeze(1).expand({-1, group.count, -1, -1}).reshape({lanes * group.count, 1, length, -1});
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Group& group,
                  const Layout& layout, const Memory& memory, const AttentionRules& rules, Shapes shapes) {
  auto keys = as_batch(k, group, shapes.lanes), values = as_batch(v, group, shapes.lanes);
  std::optional<at::Tensor> mask;
  if (!is_plain(group, layout, memory, rules)) mask = full_mask(group, layout, memory, rules, shapes.lanes);
  if (memory.keys.defined()) {
    keys = at::cat({memory_batch(serve(memory.keys, shapes.heads), group, shapes.lanes), keys}, 2);
    values = at::cat({memory_batch(serve(memory.values, shapes.heads), group, shapes.lanes), values}, 2);
  }
  const auto output = at::scaled_dot_product_attention(as_batch(q, group, shapes.lanes), keys, values, mask,
                                                       0.0, rules.causal && !mask);
  return output.transpose(1, 2).reshape({shapes.lanes, group.count * group.length, shapes.heads * q.size(3)});
}

// Softmax of scaled products, then the values by what `change` makes of it. [K, B * T, H * D]
at::Tensor attend_by_weights(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const Group& group, const Layout& layout, const Memory& memory,
                             const AttentionRules& rules, Shapes shapes,
                             const std::function<at::Tensor(const at::Tensor&)>& change) {
  auto keys = as_batch(k, group, shapes.lanes), values = as_batch(v, group, shapes.lanes);
  if (memory.keys.defined()) {
    keys = at::cat({memory_batch(serve(memory.keys, shapes.heads), group, shapes.lanes), keys}, 2);
    values = at::cat({memory_batch(serve(memory.values, shapes.heads), group, shapes.lanes), values}, 2);
  }
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const auto scores = at::matmul(as_batch(q, group, shapes.lanes), keys.transpose(2, 3)) * scale;
  const auto mask = full_mask(group, layout, memory, rules, shapes.lanes);
  const auto weights =
      at::softmax(scores.masked_fill(mask.logical_not(), -std::numeric_limits<float>::infinity()), -1);
  const auto output = at::matmul(change(weights), values);
  return output.transpose(1, 2).reshape({shapes.lanes, group.count * group.length, shapes.heads * q.size(3)});
}

// Lanes whose memories are equally long.
struct LaneRange {
  int64_t from, lanes, count;
};

std::vector<LaneRange> ranges_of(const Memory& memory, int64_t lanes) {
  std::vector<LaneRange> ranges;
  for (int64_t k = 0; k < lanes; ++k) {
    const int64_t count = memory.counts[k];
    if (ranges.empty() || ranges.back().count != count) ranges.push_back({k, 0, count});
    ++ranges.back().lanes;
  }
  return ranges;
}

at::Tensor of_lanes(const at::Tensor& x, const LaneRange& range) {
  return x.size(0) == 1 ? x : x.narrow(0, range.from, range.lanes);
}

// Causal attention behind a memory without a mask, so that the blocks above the diagonal are left out: as
// many rows without meaning stand before the queries as keys do before theirs.
at::Tensor attend_behind(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Group& group,
                         const Memory& memory, const LaneRange& range) {
  const int64_t heads = q.size(2), before = range.count;
  const auto batch = [&](const at::Tensor& x) { return as_batch(of_lanes(x, range), group, range.lanes); };
  auto queries = batch(q), keys = batch(k), values = batch(v);  // [K * B, H, T, D]
  if (before > 0) {
    const auto kept = [&](const at::Tensor& x) {
      return memory_batch(serve(of_lanes(x, range).narrow(1, 0, before), heads), group, range.lanes);
    };
    const auto none = at::zeros({queries.size(0), heads, before, queries.size(3)}, queries.options());
    queries = at::cat({none, queries}, 2);  // [K * B, H, M + T, D]
    keys = at::cat({kept(memory.keys), keys}, 2);
    values = at::cat({kept(memory.values), values}, 2);
  }
  const auto output = at::scaled_dot_product_attention(queries, keys, values, {}, 0.0, true);
  return output.narrow(2, before, group.length)
      .transpose(1, 2)
      .reshape({range.lanes, group.count * group.length, heads * q.size(3)});
}

// Needs no mask if lanes of equal memories attend by themselves.
bool is_behind(const Group& group, const Layout& layout, const Memory& memory, const AttentionRules& rules) {
  if (!rules.causal || !memory.keys.defined()) return false;
  const bool windowed = rules.window > 0 && memory.keys.size(1) + group.length > rules.window;
  return !windowed && (layout.counts.shared || all_equal(layout.counts.prompts));
}

at::Tensor attend_group(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Group& group,
                        const Layout& layout, const Memory& memory, const AttentionRules& rules,
                        Shapes shapes) {
  if (!is_behind(group, layout, memory, rules)) return attend(q, k, v, group, layout, memory, rules, shapes);
  std::vector<at::Tensor> outputs;
  for (const auto& range : ranges_of(memory, shapes.lanes))
    outputs.push_back(attend_behind(q, k, v, group, memory, range));
  return outputs.size() == 1 ? outputs[0] : at::cat(outputs, 0);
}

// The memory, then the words that sequence number `b` of a tree shares.
Memory memory_in_tree(const at::Tensor& k, const at::Tensor& v, const Layout& layout, const Memory& memory,
                      int64_t b, Shapes shapes) {
  std::vector<int64_t> rows(layout.words[b].before);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = layout.row_of(b, static_cast<int64_t>(i));
  if (rows.empty()) return memory;
  const auto index = at::tensor(rows, at::kLong);
  const auto behind = [&](const at::Tensor& virtual_rows, const at::Tensor& x) {
    const auto own = x.index_select(1, index).expand({shapes.lanes, -1, -1, -1});
    return virtual_rows.defined() ? at::cat({serve(virtual_rows, shapes.heads), own}, 1) : own;
  };
  Memory all{behind(memory.keys, k), behind(memory.values, v), memory.counts};
  all.counts.resize(shapes.lanes, 0);
  for (auto& count : all.counts) count += static_cast<int64_t>(rows.size());
  return all;
}

// Keys up to which our kernel wins: from some 100 on, libtorch's blocks of products do.
constexpr int64_t kShort = 96;

bool is_short(const Layout& layout, const Memory& memory) {
  int64_t longest = layout.counts.shared ? layout.prompt : 0;
  for (const auto& words : layout.words)
    longest = std::max(longest, layout.rows_before() + words.before + words.length);
  const bool ragged = !layout.counts.shared && !all_equal(layout.counts.prompts);
  return !ragged && longest + (memory.keys.defined() ? memory.keys.size(1) : 0) <= kShort;
}

// Every sequence of the layout; shared prompts are one without memory.
std::vector<Sequence> sequences_of(const Layout& layout) {
  std::vector<Sequence> list;
  if (layout.prompt > 0 && layout.counts.shared) list.push_back({0, layout.prompt, false});
  const int64_t before = layout.rows_before();
  for (const auto& words : layout.words)
    if (before + words.length > 0)
      list.push_back({words.row - before, before + words.length, true, words.before});
  return list;
}

at::Tensor with_contiguous_channels(const at::Tensor& x) { return x.stride(3) == 1 ? x : x.contiguous(); }

HeadStrides strides_of(const at::Tensor& x) {
  return {x.size(0) == 1 ? 0 : x.stride(0), x.stride(1), x.stride(2)};
}

struct Call {
  Tensors inputs;  // q, k, v, memory keys and values
  std::vector<Sequence> sequences;
  std::vector<int64_t> counts;
  AttentionRules rules;
  int64_t lanes, rows;

  AttentionShape shape() const {
    const auto &q = inputs[0], &k = inputs[1];
    AttentionShape shape{lanes,
                         q.size(2),
                         k.size(2),
                         q.size(3),
                         sequences.data(),
                         static_cast<int64_t>(sequences.size()),
                         counts.empty() ? nullptr : counts.data(),
                         rules.causal,
                         rules.window,
                         strides_of(q),
                         strides_of(k),
                         strides_of(inputs[2]),
                         {}};
    if (inputs[3].defined()) shape.memory = strides_of(inputs[3]);
    return shape;
  }
  template <typename T>
  AttentionInputs<T> pointers() const {
    return {inputs[0].data_ptr<T>(), inputs[1].data_ptr<T>(), inputs[2].data_ptr<T>(),
            data_or_null<T>(inputs[3]), data_or_null<T>(inputs[4])};
  }
};

Tensors short_backward(const Call& call, const at::Tensor& o, const at::Tensor& d_o, const Wanted& wanted) {
  Tensors d(5);
  for (size_t i = 0; i < 5; ++i) {
    if (!wanted[i] || !call.inputs[i].defined()) continue;
    const auto& like = call.inputs[i];
    d[i] = at::zeros({call.lanes, like.size(1), like.size(2), like.size(3)}, like.options());
  }
  with_type(o, [&](auto type) {
    using T = decltype(type);
    attention_backward_cpu<T>(call.pointers<T>(), o.data_ptr<T>(), d_o.data_ptr<T>(),
                              {data_or_null<T>(d[0]), data_or_null<T>(d[1]), data_or_null<T>(d[2]),
                               data_or_null<T>(d[3]), data_or_null<T>(d[4])},
                              call.rows, call.inputs[3].defined() ? call.inputs[3].size(1) : 0, call.shape());
  });
  for (size_t i = 0; i < 5; ++i)
    if (d[i].defined() && call.inputs[i].size(0) < call.lanes) d[i] = d[i].sum(0, true);
  return d;
}

at::Tensor short_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const Layout& layout, const Memory& memory, const AttentionRules& rules,
                           int64_t lanes) {
  Call call{{}, sequences_of(layout), memory.counts, rules, lanes, q.size(1)};
  at::Tensor o;
  {
    at::NoGradGuard no_grad;
    for (const auto* part : {&q, &k, &v}) call.inputs.push_back(with_contiguous_channels(part->detach()));
    // Keys and values of a memory lie alike.
    for (const auto* part : {&memory.keys, &memory.values})
      call.inputs.push_back(part->defined() ? part->detach().contiguous() : at::Tensor());
    o = at::empty({lanes, q.size(1), q.size(2) * q.size(3)}, q.options());
    with_type(o, [&](auto type) {
      using T = decltype(type);
      attention_cpu<T>(call.pointers<T>(), o.data_ptr<T>(), call.rows, call.shape());
    });
  }
  return record({q, k, v, memory.keys, memory.values}, o,
                [call, o = o.detach()](Tensors& gradients, const Wanted& wanted) {
                  return short_backward(call, o, gradients[0].contiguous(), wanted);
                });
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout,
                     const Memory& memory, const AttentionRules& rules) {
  if (layout.tree && needs_gradient({q, k, v, memory.keys}))
    fail(Code::kInternal, "Expected no gradients of sequences that share rows.");
  const Shapes shapes{
      std::max({q.size(0), k.size(0), v.size(0), memory.keys.defined() ? memory.keys.size(0) : 1}),
      q.size(2)};
  if (is_short(layout, memory)) return short_attention(q, k, v, layout, memory, rules, shapes.lanes);
  const auto keys = serve(k, shapes.heads), values = serve(v, shapes.heads);
  std::vector<at::Tensor> outputs;
  if (layout.prompt > 0 && layout.counts.shared)
    outputs.push_back(attend(q, keys, values, {0, 1, layout.prompt}, layout, {}, rules, shapes));
  for (const auto& group : layout.groups)
    outputs.push_back(attend_group(q, keys, values, group, layout, memory, rules, shapes));
  for (size_t b = 0; layout.tree && b < layout.words.size(); ++b)
    if (const auto& words = layout.words[b]; words.length > 0)
      outputs.push_back(attend_group(
          q, keys, values, {words.row, 1, words.length}, layout,
          memory_in_tree(keys, values, layout, memory, static_cast<int64_t>(b), shapes), rules, shapes));
  return outputs.size() == 1 ? outputs[0] : at::cat(outputs, 1);  // [K, N, H * D]
}

at::Tensor attention_by_weights(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const Layout& layout, const Memory& memory, const AttentionRules& rules,
                                const std::function<at::Tensor(const at::Tensor&)>& change) {
  const Shapes shapes{std::max({q.size(0), k.size(0), v.size(0)}), q.size(2)};
  const auto keys = serve(k, shapes.heads), values = serve(v, shapes.heads);
  std::vector<at::Tensor> outputs;
  if (layout.prompt > 0 && layout.counts.shared)  // rows of a shared prompt are not looked at
    outputs.push_back(attend(q, keys, values, {0, 1, layout.prompt}, layout, {}, rules, shapes));
  for (const auto& group : layout.groups)
    outputs.push_back(attend_by_weights(q, keys, values, group, layout, memory, rules, shapes, change));
  return outputs.size() == 1 ? outputs[0] : at::cat(outputs, 1);  // [K, N, H * D]
}

}  // namespace cortune
