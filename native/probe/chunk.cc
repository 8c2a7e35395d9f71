// Lanes of variants: joining, being changed, leaving.
#include "chunk.h"

#include <algorithm>

namespace cortune {
namespace {

bool same(const Edit& a, const Edit& b) {
  return a.point == b.point && a.layer == b.layer && a.head == b.head && a.position == b.position &&
         a.instead == b.instead;
}

// Does `edits` begin with all of `start`, and go on at a later place?
bool continues(const std::vector<Edit>& edits, const std::vector<Edit>& start) {
  if (start.empty() || start.size() >= edits.size()) return false;
  for (size_t i = 0; i < start.size(); ++i)
    if (!same(edits[i], start[i])) return false;
  const auto &next = edits[start.size()], &last = start.back();
  return Place{last.layer, last.point} < Place{next.layer, next.point};
}

}  // namespace

Chunk::Chunk(const Model& model, const Frame& frame, const Means& means, std::vector<Variant> variants,
             int64_t bases)
    : model_(model), frame_(frame), means_(means), bases_(bases), lanes_(bases), now_(bases) {
  // The longest beginning among the variants; -1 for the unchanged model.
  std::vector<int64_t> from(variants.size(), -1);
  for (size_t i = 0; i < variants.size(); ++i)
    for (size_t j = 0; j < variants.size(); ++j)
      if (continues(variants[i].edits, variants[j].edits) &&
          (from[i] < 0 || variants[j].edits.size() > variants[from[i]].edits.size()))
        from[i] = static_cast<int64_t>(j);
  std::vector<size_t> order(variants.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto place = [&](size_t i) {
    const auto& next = variants[i].edits[from[i] < 0 ? 0 : variants[from[i]].edits.size()];
    return Place{next.layer, next.point};
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return place(a) < place(b); });
  std::vector<int64_t> lane_of(variants.size(), 0);
  first_layer_ = variants.empty() ? 0 : place(order[0]).layer;
  for (const auto i : order) {
    Lane lane;
    const auto taken = from[i] < 0 ? size_t{0} : variants[from[i]].edits.size();
    lane.parent = from[i] < 0 ? 0 : lane_of[from[i]];
    lane.joins = place(i);
    lane.edits.assign(variants[i].edits.begin() + static_cast<int64_t>(taken), variants[i].edits.end());
    lane.number = variants[i].number;
    if (from[i] < 0) last_base_layer_ = std::max(last_base_layer_, lane.joins.layer);
    for (const auto& edit : lane.edits)
      if (edit.instead == Instead::kOther) last_base_layer_ = std::max(last_base_layer_, edit.layer);
    lane_of[i] = static_cast<int64_t>(lanes_.size());
    lanes_.push_back(std::move(lane));
    order_.push_back(variants[i].number);
  }
}

bool Chunk::wants(Point point, int64_t layer) const {
  // The last block goes on with the scored rows alone once the heads have read the others.
  if (point == Point::kHeads && layer == model_.config().layers - 1) return true;
  for (const auto& lane : lanes_)
    for (const auto& edit : lane.edits)
      if (edit.point == point && edit.layer == layer) return true;
  return false;
}

// The lanes there are now, those that x lacks as their parents are in it.
at::Tensor Chunk::select_lanes(const at::Tensor& x, int64_t lanes) const {
  if (x.size(0) == lanes) return x;
  std::vector<int64_t> from(lanes);
  for (int64_t k = 0; k < lanes; ++k) from[k] = k < x.size(0) ? k : from[lanes_[k].parent];
  return x.index_select(0, at::tensor(from, at::kLong));
}

at::Tensor Chunk::fit(const at::Tensor& x, int64_t lanes, int64_t rows) {
  return select_lanes(x.size(1) == rows ? x : x.index_select(1, frame_.scored_rows), lanes);
}

// Rows of x that an edit changes; undefined for all. x may have the scored rows alone.
at::Tensor Chunk::rows_of(const Edit& edit, const at::Tensor& x) const {
  auto rows = frame_.rows_of(edit.position);
  if (x.size(1) < static_cast<int64_t>(frame_.slot.size())) {
    std::vector<int64_t> kept;
    for (const auto row : rows)
      if (frame_.slot[row] >= 0) kept.push_back(frame_.slot[row]);
    rows = kept;
  }
  return at::tensor(rows, at::kLong);
}

void Chunk::change(at::Tensor& x, int64_t lane, const Edit& edit) const {
  const int64_t width = edit.head < 0 ? x.size(2) : model_.config().head_dim;
  const int64_t first = edit.head < 0 ? 0 : edit.head * width;
  auto part = x[lane].narrow(1, first, width);  // [N, width]
  at::Tensor value;                             // [N or 1, width]
  if (edit.instead == Instead::kZero) value = at::zeros({1, width}, x.options());
  if (edit.instead == Instead::kMean)
    value = means_.at(edit.point)[edit.layer].narrow(0, first, width).unsqueeze(0);
  if (edit.instead == Instead::kOther) value = x[1].narrow(1, first, width);
  if (edit.position < 0) {
    part.copy_(value.expand_as(part));
    return;
  }
  const auto rows = rows_of(edit, x);
  const auto given = value.size(0) == 1 ? value.expand({rows.size(0), -1}) : value.index_select(0, rows);
  part.index_copy_(0, rows, given);
}

at::Tensor Chunk::at(Point point, int64_t layer, const at::Tensor& given) {
  const Place here{layer, point};
  auto x = select_lanes(given, now_);
  const int64_t before = now_;
  while (now_ < static_cast<int64_t>(lanes_.size()) && lanes_[now_].joins == here) ++now_;
  x = now_ > before ? select_lanes(x, now_) : x.clone();
  for (int64_t k = left_ ? 0 : bases_; k < now_; ++k)
    for (const auto& edit : lanes_[k].edits)
      if (Place{edit.layer, edit.point} == here) change(x, k, edit);
  const bool last = point == Point::kHeads && layer == model_.config().layers - 1;
  return last ? x.index_select(1, frame_.scored_rows) : x;
}

at::Tensor Chunk::leave(int64_t layer, const at::Tensor& h) {
  if (left_ || lanes_.size() == static_cast<size_t>(bases_) || layer < last_base_layer_) return h;
  left_ = true;
  lanes_.erase(lanes_.begin(), lanes_.begin() + bases_);
  for (auto& lane : lanes_) lane.parent -= bases_;
  now_ -= bases_;
  return h.narrow(0, bases_, h.size(0) - bases_);
}

}  // namespace cortune
