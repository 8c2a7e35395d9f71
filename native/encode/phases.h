// Responses whose Fourier phases are shifted at random, run by run.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace cortune {

// Shifts of the phases of each run, the same for all targets: spectra and cross-spectra stay (Prichard &
// Theiler 1994, Physical Review Letters 73, 951). The mean keeps its phase; the Nyquist term takes the sign
// of the cosine of its shift.
struct PhaseShifts {
  std::vector<std::vector<int64_t>> runs;  // rows of each run in the order of time; every row once
  std::vector<double> values;              // [P, sum over runs of floor(m / 2) + 1]

  int64_t bins() const;
  int64_t count() const { return bins() == 0 ? 0 : static_cast<int64_t>(values.size()) / bins(); }
  // Throws Error (kArgument) for runs that are not all of `rows` once, and phases that do not fill them.
  void check(int64_t rows) const;
};

// The spectra of some targets, from which each shift of the phases is made.
class Surrogates {
 public:
  // y [w, n]
  Surrogates(const PhaseShifts& shifts, const at::Tensor& y);
  // Surrogate k of every target, [w, n] in the type of y, rows contiguous.
  at::Tensor make(int64_t k) const;

 private:
  const PhaseShifts& shifts_;
  at::ScalarType dtype_;
  at::Tensor order_;                 // [n]: the place of each row among the runs, one after the other
  std::vector<at::Tensor> spectra_;  // each run's [w, bins], complex
};

}  // namespace cortune
