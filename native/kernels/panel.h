// Products of a fixed matrix with many targets, in float32, as fast as the processor multiplies. Targets lie
// side by side in panels of 32, [k][32]; the matrix lies in blocks of 12 rows, [k][12]. So 12 x 32 sums stay
// in registers, both sides are read in order, and rows of the panel may be taken in any order at no cost: a
// permutation of them needs no copy. Each sum runs over k in its order, alone, so what comes out for a target
// has the same bits whatever lies beside it.
#pragma once
#include <cstdint>

namespace cortune {

constexpr int64_t kPanelWidth = 32;
constexpr int64_t kPanelRows = 12;

// out[r][j] = sum_k block[k][r] panel[rows[k]][j], panel[k][j] where `rows` is null; block [count][12], out
// [12][32].
void panel_product_cpu(const float* block, const float* panel, const int32_t* rows, int64_t count,
                       float* out);
// sums[j] += sum_r (the same)[r][j]^2, squares in float64.
void panel_squares_cpu(const float* block, const float* panel, const int32_t* rows, int64_t count,
                       double* sums);
// Pearson's r of the 32 columns of predictions [m][32] with rows rows[0..m) of a panel, in float64; NaN where
// one of them is constant (but for rounding). One pass: both must lie near 0 against their spread.
void panel_correlations_cpu(const float* predictions, const float* panel, const int32_t* rows, int64_t m,
                            double* r);

}  // namespace cortune
