// Some variants in one pass, as the hooks that make them.
#pragma once
#include <map>
#include <vector>

#include "variants.h"

namespace cortune {

// Means of parts over tokens: [L, width] by point.
using Means = std::map<Point, at::Tensor>;

// Where something happens in a pass; places are ordered as a pass meets them.
struct Place {
  int64_t layer;
  Point point;
  bool operator<(const Place& o) const {
    return layer != o.layer ? layer < o.layer : static_cast<int>(point) < static_cast<int>(o.point);
  }
  bool operator==(const Place& o) const { return layer == o.layer && point == o.point; }
};

// A variant with its edits in the order of places.
struct Variant {
  int64_t number;
  std::vector<Edit> edits;
  Place joins() const { return {edits[0].layer, edits[0].point}; }
};

// Lanes: the unchanged readings first (`bases` of them), then variants in the order they join. One whose
// edits begin with all those of another joins from it, at its next edit.
class Chunk : public Hooks {
 public:
  // `variants` ascending by their edits' places; empty for the unchanged model alone.
  Chunk(const Model& model, const Frame& frame, const Means& means, std::vector<Variant> variants,
        int64_t bases);

  bool wants(Point point, int64_t layer) const override;
  at::Tensor at(Point point, int64_t layer, const at::Tensor& x) override;
  at::Tensor fit(const at::Tensor& x, int64_t lanes, int64_t rows) override;

  int64_t first_layer() const { return first_layer_; }
  // The unchanged lanes leave after the last block that still copies from them.
  at::Tensor leave(int64_t layer, const at::Tensor& h);
  // Numbers of the variants in the order of lanes (after the unchanged ones have left).
  const std::vector<int64_t>& order() const { return order_; }

 private:
  struct Lane {
    int64_t parent = 0;
    Place joins{};
    std::vector<Edit> edits;  // those its parent has not
    int64_t number = -1;
  };
  at::Tensor select_lanes(const at::Tensor& x, int64_t lanes) const;
  void change(at::Tensor& x, int64_t lane, const Edit& edit) const;
  at::Tensor rows_of(const Edit& edit, const at::Tensor& x) const;

  const Model& model_;
  const Frame& frame_;
  const Means& means_;
  int64_t bases_;
  std::vector<Lane> lanes_;
  std::vector<int64_t> order_;
  int64_t now_;  // lanes of the pass
  int64_t first_layer_ = 0, last_base_layer_ = 0;
  bool left_ = false;
};

}  // namespace cortune
