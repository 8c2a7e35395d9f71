// Half spectra of each run are kept; a surrogate is one inverse transform of each.
#include "phases.h"

#include "../error.h"

namespace cortune {
namespace {

int64_t bins_of(const std::vector<int64_t>& run) { return static_cast<int64_t>(run.size()) / 2 + 1; }

// e^(i phase) of each bin, the ends made real.
at::Tensor turns(const double* phases, int64_t m) {
  const int64_t bins = m / 2 + 1;
  auto shift = at::empty({bins}, at::kDouble);
  std::copy_n(phases, bins, shift.data_ptr<double>());
  auto cosines = shift.cos(), sines = shift.sin();
  cosines[0] = 1;
  sines[0] = 0;
  if (m % 2 == 0) {
    cosines[bins - 1] = cosines[bins - 1].item<double>() >= 0 ? 1 : -1;
    sines[bins - 1] = 0;
  }
  return at::complex(cosines, sines);
}

}  // namespace

int64_t PhaseShifts::bins() const {
  int64_t sum = 0;
  for (const auto& run : runs) sum += bins_of(run);
  return sum;
}

void PhaseShifts::check(int64_t rows) const {
  std::vector<bool> seen(rows, false);
  int64_t count = 0;
  for (const auto& run : runs)
    for (const int64_t row : run) {
      if (row < 0 || row >= rows || seen[row])
        fail(Code::kArgument, "Expected runs to hold each row once, got row " + std::to_string(row));
      seen[row] = true;
      ++count;
    }
  if (count != rows || values.size() % static_cast<size_t>(bins()) != 0)
    fail(Code::kArgument, "Expected runs of all " + std::to_string(rows) + " rows, and phases of each run");
}

Surrogates::Surrogates(const PhaseShifts& shifts, const at::Tensor& y)
    : shifts_(shifts), dtype_(y.scalar_type()) {
  std::vector<int64_t> places(y.size(1));
  int64_t place = 0;
  for (const auto& run : shifts.runs) {
    for (const int64_t row : run) places[row] = place++;
    const auto own = y.index_select(1, at::tensor(run, at::kLong)).to(at::kDouble);
    spectra_.push_back(at::fft_rfft(own, std::nullopt, 1));
  }
  order_ = at::tensor(places, at::kLong);
}

at::Tensor Surrogates::make(int64_t k) const {
  const double* phases = shifts_.values.data() + k * shifts_.bins();
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < spectra_.size(); ++i) {
    const int64_t m = static_cast<int64_t>(shifts_.runs[i].size());
    parts.push_back(at::fft_irfft(spectra_[i] * turns(phases, m), m, 1));
    phases += m / 2 + 1;
  }
  return at::cat(parts, 1).index_select(1, order_).to(dtype_).contiguous();
}

}  // namespace cortune
