// The pools of keys and values.
#include "cache.h"

#include <algorithm>

#include "../kernels/step_attention.h"

namespace cortune {

std::vector<std::vector<History>> KeyValueCache::begin_reading(const Layout& layout) {
  starts_.clear();
  const auto& counts = layout.counts;
  prompt_ = layout.prompt;
  if (memory_ < 0) used_ = memory_ = std::max(layout.prompt, counts.longest_prefix());
  first_ = used_;
  used_ += layout.rows - prompt_;
  std::vector<std::vector<History>> histories(lanes_);
  for (int64_t k = 0; k < lanes_; ++k)
    for (const auto& words : layout.words) {
      auto& history = histories[k].emplace_back();
      for (int64_t i = 0; i < counts.prompt(k) + counts.prefix(k); ++i)
        history.push_back(static_cast<int32_t>(i));
      for (int64_t t = 0; t < words.length; ++t)
        history.push_back(static_cast<int32_t>(first_ + words.row - prompt_ + t));
    }
  return histories;
}

void KeyValueCache::begin_step(std::vector<std::vector<History*>> histories) {
  first_ = used_;
  used_ += static_cast<int64_t>(histories[0].size());
  list_.clear();
  starts_ = {0};
  for (auto& lane : histories)
    for (size_t n = 0; n < lane.size(); ++n) {
      lane[n]->push_back(static_cast<int32_t>(first_ + static_cast<int64_t>(n)));
      list_.insert(list_.end(), lane[n]->begin(), lane[n]->end());
      starts_.push_back(static_cast<int64_t>(list_.size()));
    }
}

// Doubles, so that writing word by word copies each row a few times at most.
void KeyValueCache::grow(at::Tensor& pool, const at::Tensor& like) const {
  const int64_t old = pool.defined() ? pool.size(1) : 0;
  if (old >= used_) return;
  auto larger = at::empty({lanes_, std::max(used_, 2 * old), like.size(2), like.size(3)}, like.options());
  if (old > 0) larger.narrow(1, 0, old).copy_(pool);
  pool = larger;
}

void KeyValueCache::keep(int64_t layer, const at::Tensor& k, const at::Tensor& v, const Memory& memory) {
  const auto put = [&](at::Tensor& pool, const at::Tensor& rows, const at::Tensor& before) {
    grow(pool, rows);
    if (before.defined()) pool.narrow(1, 0, memory_).copy_(before);
    const int64_t words = rows.size(1) - prompt_;
    pool.narrow(1, first_, words).copy_(rows.narrow(1, prompt_, words));
  };
  put(keys_[layer], k, memory.keys);
  put(values_[layer], v, memory.values);
}

at::Tensor KeyValueCache::attend(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 int64_t window) {
  auto &keys = keys_[layer], &values = values_[layer];
  const int64_t count = k.size(1), heads = q.size(2), width = q.size(3);
  grow(keys, k);
  grow(values, v);
  keys.narrow(1, first_, count).copy_(k);
  values.narrow(1, first_, count).copy_(v);
  const auto asked = q.expand({lanes_, -1, -1, -1}).contiguous();
  auto o = at::empty({lanes_, count, heads * width}, q.options());
  step_attention_cpu(
      asked.data_ptr<float>(), keys.data_ptr<float>(), values.data_ptr<float>(), o.data_ptr<float>(),
      {lanes_, count, heads, k.size(2), width, keys.stride(0), list_.data(), starts_.data(), window});
  return o;
}

}  // namespace cortune
