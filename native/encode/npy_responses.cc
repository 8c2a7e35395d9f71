// Parses the header of a .npy file, and reads tiles of it by pread.
#include "npy_responses.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <regex>

#include "../error.h"

namespace cortune {
namespace {

// NumPy itself refuses longer headers unless told otherwise.
constexpr uint32_t kMostHeader = 10000;
// Rows read, then transposed, at a time.
constexpr int64_t kRows = 16;

struct Layout {
  int64_t rows = 0, targets = 0, start = 0;
  bool wide = false;     // float64
  bool swapped = false;  // big-endian
  bool fortran = false;
  int64_t size() const { return wide ? 8 : 4; }
};

class File {
 public:
  explicit File(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0 && (errno == ENOENT || errno == ENOTDIR))
      fail(Code::kNotFound, "Expected a file at '" + path + "', found nothing. Check the path.");
    if (fd_ < 0) fail(Code::kIo, "Could not read '" + path + "': " + std::strerror(errno) + ".");
  }
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int64_t size() const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode))
      fail(Code::kFormat,
           "Expected '" + path_ + "' to be a file, got a folder or a device. Give the path of a file.");
    return info.st_size;
  }
  void read(void* into, int64_t bytes, int64_t offset) const {
    auto* to = static_cast<uint8_t*>(into);
    while (bytes > 0) {
      const auto got = ::pread(fd_, to, static_cast<size_t>(bytes), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(Code::kIo, "Could not read '" + path_ + "': " + std::strerror(errno) + ".");
      if (got == 0)
        fail(Code::kIo,
             "'" + path_ +
                 "' became shorter while it was read. Leave the file alone until the end, and start again.");
      to += got, offset += got, bytes -= got;
    }
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_;
};

[[noreturn]] void bad_format(const File& file, const std::string& what) {
  fail(Code::kFormat, "Expected '" + file.path() + "' to be " + what + ". Save it again with numpy.save.");
}

std::string read_header(const File& file, int64_t size, int64_t& start) {
  uint8_t head[12] = {};
  if (size < 12) bad_format(file, "a .npy file, and it ends within its header");
  file.read(head, 12, 0);
  if (std::memcmp(head, "\x93NUMPY", 6) != 0)
    bad_format(file, "a .npy file (it starts with \\x93NUMPY), got something else");
  const bool old = head[6] == 1;
  if (head[6] < 1 || head[6] > 3) bad_format(file, ".npy version 1, 2 or 3, got " + std::to_string(head[6]));
  const uint32_t length =
      old ? head[8] | head[9] << 8
          : head[8] | head[9] << 8 | head[10] << 16 | static_cast<uint32_t>(head[11]) << 24;
  start = (old ? 10 : 12) + static_cast<int64_t>(length);
  if (length > kMostHeader || start > size) bad_format(file, "a .npy file with a whole header");
  std::string text(length, ' ');
  file.read(text.data(), length, old ? 10 : 12);
  return text;
}

Layout read_layout(const File& file) {
  const int64_t size = file.size();
  Layout out;
  const auto text = read_header(file, size, out.start);
  const auto field = [&](const char* pattern) {
    std::smatch found;
    if (!std::regex_search(text, found, std::regex(pattern)))
      bad_format(file, "a .npy file with type, order and shape");
    return found;
  };
  const auto type = field("'descr'\\s*:\\s*'([^']*)'")[1].str();
  if (type != "<f4" && type != ">f4" && type != "<f8" && type != ">f8")
    fail(Code::kData, "Expected '" + file.path() + "' to hold float32 or float64, got " + type +
                          ". Convert with array.astype('float32').");
  out.wide = type[2] == '8';
  out.swapped = (type[0] == '>') == (std::endian::native == std::endian::little);
  out.fortran = field("'fortran_order'\\s*:\\s*(True|False)")[1].str() == "True";
  const auto found = field("'shape'\\s*:\\s*\\(([0-9, L]*)\\)");
  const auto shape = found[1].str();
  std::smatch sizes;
  if (!std::regex_match(shape, sizes, std::regex("\\s*([0-9]{1,15})L?\\s*,\\s*([0-9]{1,15})L?\\s*,?\\s*")))
    fail(Code::kData, "Expected '" + file.path() + "' to have 2 axes, [rows, targets], got (" + shape +
                          "). Save a two-dimensional array.");
  out.rows = std::stoll(sizes[1]);
  out.targets = std::stoll(sizes[2]);
  int64_t bytes = 0;
  if (out.rows == 0 || out.targets == 0 || __builtin_mul_overflow(out.rows, out.targets, &bytes) ||
      __builtin_mul_overflow(bytes, out.size(), &bytes) || bytes != size - out.start)
    bad_format(file,
               "a matrix whose bytes fit its shape (" + shape + "); it is truncated, or its header is wrong");
  return out;
}

class InNpy : public Responses {
 public:
  explicit InNpy(const std::string& path) : file_(path), layout_(read_layout(file_)) {}
  int64_t rows() const override { return layout_.rows; }
  int64_t targets() const override { return layout_.targets; }

  at::Tensor read(const std::vector<int64_t>& rows, int64_t from, int64_t to) const override {
    const int64_t n = static_cast<int64_t>(rows.size());
    auto out = at::empty({to - from, n}, at::kFloat);
    if (layout_.fortran)
      read_columns(rows, from, to, out.data_ptr<float>());
    else
      read_rows(rows, from, to, out.data_ptr<float>());
    check(out, rows, from);
    return out;
  }

 private:
  // `count` values from value number `first` of the file on.
  void values(int64_t first, int64_t count, std::vector<uint8_t>& bytes, float* into) const {
    const int64_t size = layout_.size();
    bytes.resize(static_cast<size_t>(count * size));
    file_.read(bytes.data(), count * size, layout_.start + first * size);
    if (layout_.swapped)
      for (int64_t i = 0; i < count; ++i)
        std::reverse(bytes.data() + i * size, bytes.data() + (i + 1) * size);
    if (!layout_.wide) {
      std::memcpy(into, bytes.data(), static_cast<size_t>(count * size));
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      double value;
      std::memcpy(&value, bytes.data() + i * 8, 8);
      into[i] = static_cast<float>(value);
    }
  }

  void read_rows(const std::vector<int64_t>& rows, int64_t from, int64_t to, float* out) const {
    const int64_t n = static_cast<int64_t>(rows.size()), width = to - from;
    std::vector<uint8_t> bytes;
    std::vector<float> block(static_cast<size_t>(kRows * width));
    const float* starts[kRows];
    for (int64_t first = 0; first < n; first += kRows) {
      const int64_t count = std::min(kRows, n - first);
      for (int64_t i = 0; i < count; ++i) {
        values(rows[first + i] * layout_.targets + from, width, bytes, block.data() + i * width);
        starts[i] = block.data() + i * width;
      }
      transpose_rows(starts, count, width, out + first, n);
    }
  }

  void read_columns(const std::vector<int64_t>& rows, int64_t from, int64_t to, float* out) const {
    const int64_t n = static_cast<int64_t>(rows.size());
    std::vector<uint8_t> bytes;
    std::vector<float> column(static_cast<size_t>(layout_.rows));
    for (int64_t j = from; j < to; ++j) {
      values(j * layout_.rows, layout_.rows, bytes, column.data());
      for (int64_t i = 0; i < n; ++i) out[(j - from) * n + i] = column[rows[i]];
    }
  }

  void check(const at::Tensor& values, const std::vector<int64_t>& rows, int64_t from) const {
    const float* v = values.data_ptr<float>();
    for (int64_t i = 0; i < values.numel(); ++i)
      if (!std::isfinite(v[i])) {
        const int64_t n = static_cast<int64_t>(rows.size());
        fail(Code::kData, "Expected responses to be finite numbers, got " +
                              std::string(std::isnan(v[i]) ? "NaN" : "Infinity") + " in row " +
                              std::to_string(rows[i % n]) + ", column " + std::to_string(from + i / n) +
                              " of '" + file_.path() +
                              "' (counted from 0). Fill the value, or leave that target out.");
      }
  }

  File file_;
  Layout layout_;
};

}  // namespace

std::shared_ptr<const Responses> responses_in_npy(const std::string& path) {
  return std::make_shared<InNpy>(path);
}

}  // namespace cortune
