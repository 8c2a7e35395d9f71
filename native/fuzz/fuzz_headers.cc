// Feeds mutated safetensors and GGUF headers to the parsers: fuzz_headers [COUNT [SEED]]. Every one must end
// in a header that fits its file or in one kFormat error; the sanitizers watch for the rest. The same seed
// gives the same headers.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "error.h"
#include "io/header.h"

namespace cortune {
namespace {

using Bytes = std::vector<uint8_t>;
using Random = std::mt19937_64;

uint64_t below(Random& random, uint64_t bound) { return bound == 0 ? 0 : random() % bound; }

template <typename T>
void put(Bytes* out, T value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  out->insert(out->end(), bytes, bytes + sizeof value);
}
void put_text(Bytes* out, const std::string& text) {
  put<uint64_t>(out, text.size());
  out->insert(out->end(), text.begin(), text.end());
}

Bytes valid_safetensors(Random& random) {
  const char* const types[] = {"F32", "F16", "BF16", "I64", "BOOL"};
  const uint64_t widths[] = {4, 2, 2, 8, 1};
  std::string json = R"({"__metadata__":{"format":"pt","note":"\u00e9\ud83d\ude00"})";
  uint64_t offset = 0;
  for (uint64_t i = 0, count = 1 + below(random, 4); i < count; ++i) {
    const uint64_t type = below(random, 5);
    const uint64_t rows = below(random, 4);
    const uint64_t columns = 1 + below(random, 3);
    const uint64_t end = offset + rows * columns * widths[type];
    json += ",\"layer." + std::to_string(i) + ".weight\":{\"dtype\":\"" + types[type] + "\",\"shape\":[" +
            std::to_string(rows) + "," + std::to_string(columns) + "],\"data_offsets\":[" +
            std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  json += "}";
  Bytes file;
  put_text(&file, json);
  file.resize(file.size() + offset);
  return file;
}

Bytes valid_gguf(Random& random) {
  Bytes file{'G', 'G', 'U', 'F'};
  put<uint32_t>(&file, 2 + static_cast<uint32_t>(below(random, 2)));
  const uint64_t tensors = 1 + below(random, 3);
  put<uint64_t>(&file, tensors);
  put<uint64_t>(&file, 6);
  put_text(&file, "general.architecture");
  put<uint32_t>(&file, 8);
  put_text(&file, "llama");
  put_text(&file, "general.alignment");
  put<uint32_t>(&file, 4);
  put<uint32_t>(&file, 32);
  put_text(&file, "llama.rope.freq_base");
  put<uint32_t>(&file, 6);
  put<float>(&file, 10000);
  put_text(&file, "tokenizer.ggml.add_bos_token");
  put<uint32_t>(&file, 7);
  put<uint8_t>(&file, 1);
  put_text(&file, "tokenizer.ggml.tokens");
  put<uint32_t>(&file, 9);
  put<uint32_t>(&file, 8);
  put<uint64_t>(&file, 2);
  put_text(&file, "a");
  put_text(&file, "\xC4\xA0the");
  put_text(&file, "nested");
  put<uint32_t>(&file, 9);
  put<uint32_t>(&file, 9);
  put<uint64_t>(&file, 1);
  put<uint32_t>(&file, 5);
  put<uint64_t>(&file, 2);
  put<int32_t>(&file, -1);
  put<int32_t>(&file, 7);
  const uint32_t types[] = {0, 1, 2, 8, 14};
  const uint64_t sizes[] = {1024, 512, 144, 272, 210};  // of 256 numbers
  uint64_t offset = 0;
  for (uint64_t i = 0; i < tensors; ++i) {
    const uint64_t type = below(random, 5);
    const uint64_t rows = 1 + below(random, 2);
    put_text(&file, "blk." + std::to_string(i) + ".attn_q.weight");
    put<uint32_t>(&file, 2);
    put<uint64_t>(&file, 256);
    put<uint64_t>(&file, rows);
    put<uint32_t>(&file, types[type]);
    put<uint64_t>(&file, offset);
    offset += (rows * sizes[type] + 31) / 32 * 32;
  }
  file.resize((file.size() + 31) / 32 * 32 + offset);
  return file;
}

// Values that headers lie with.
uint64_t nasty(Random& random) {
  static constexpr uint64_t kValues[] = {0,
                                         1,
                                         2,
                                         3,
                                         7,
                                         8,
                                         0x7F,
                                         0x80,
                                         0xFF,
                                         0xFFFF,
                                         1U << 31,
                                         UINT32_MAX,
                                         1ULL << 40,
                                         1ULL << 62,
                                         INT64_MAX,
                                         1ULL << 63,
                                         UINT64_MAX - 7,
                                         UINT64_MAX};
  return kValues[below(random, std::size(kValues))];
}

void mutate_bytes(Random& random, uint64_t header, Bytes* file) {
  if (file->empty()) return;
  const uint64_t at = below(random, std::min<uint64_t>(header, file->size()));
  switch (below(random, 7)) {
    case 0:
      (*file)[at] ^= static_cast<uint8_t>(1U << below(random, 8));
      break;
    case 1:
      (*file)[at] = static_cast<uint8_t>(random());
      break;
    case 2:
      file->resize(below(random, file->size() + 1));
      break;
    case 3:
      file->erase(file->begin() + static_cast<int64_t>(at));
      break;
    case 4:
      file->insert(file->begin() + static_cast<int64_t>(at), static_cast<uint8_t>(random()));
      break;
    case 5: {  // a lie over a number
      const uint64_t value = nasty(random);
      const uint64_t width = 1ULL << below(random, 4);
      if (at + width <= file->size()) std::memcpy(file->data() + at, &value, width);
      break;
    }
    default: {  // a part again, elsewhere: duplicates, nesting
      const uint64_t from = below(random, file->size());
      const uint64_t length = std::min<uint64_t>(below(random, 64), file->size() - from);
      const Bytes part(file->begin() + static_cast<int64_t>(from),
                       file->begin() + static_cast<int64_t>(from + length));
      file->insert(file->begin() + static_cast<int64_t>(at), part.begin(), part.end());
    }
  }
}

// Changes JSON as text and mends the length before it, so that the change is read.
void mutate_json(Random& random, Bytes* file) {
  uint64_t length = 0;
  if (file->size() < 8) return;
  std::memcpy(&length, file->data(), 8);
  if (length == 0 || length > file->size() - 8) return;
  static const char* const kParts[] = {"[",
                                       "]",
                                       "{",
                                       "}",
                                       ",",
                                       ":",
                                       "\"",
                                       "0",
                                       "-1",
                                       "1e999",
                                       "99999999999999999999",
                                       "9223372036854775807",
                                       "null",
                                       "true",
                                       "\\u0000",
                                       "\\ud800",
                                       "\xFF",
                                       "\"dtype\":\"F32\"",
                                       "\"Q9\"",
                                       "[[[[[[[[[[",
                                       "0.5",
                                       " "};
  const std::string part = kParts[below(random, std::size(kParts))];
  const auto at = static_cast<int64_t>(8 + below(random, length));
  const auto cut =
      static_cast<int64_t>(std::min<uint64_t>(below(random, 4), 8 + length - static_cast<uint64_t>(at)));
  file->erase(file->begin() + at, file->begin() + at + cut);
  file->insert(file->begin() + at, part.begin(), part.end());
  length = length - static_cast<uint64_t>(cut) + part.size();
  std::memcpy(file->data(), &length, 8);
}

// What every accepted header must keep: a later read of any tensor stays within the file.
void check(const Header& header, uint64_t size) {
  for (const TensorEntry& entry : header.tensors) {
    uint64_t bytes = 0;
    const bool fits = entry.offset <= size && entry.bytes <= size - entry.offset;
    if (!fits || !tensor_bytes(entry.shape, *entry.dtype, &bytes) || bytes != entry.bytes) {
      std::fprintf(stderr, "accepted a lie: tensor %s\n", in_quotes(entry.name).c_str());
      std::abort();
    }
  }
}

int run(uint64_t count, uint64_t seed) {
  Random random(seed);
  uint64_t accepted = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const bool gguf = i % 2 == 1;
    Bytes file = gguf ? valid_gguf(random) : valid_safetensors(random);
    check(parse_header(file.data(), file.size(), "whole"), file.size());
    const uint64_t header = gguf ? file.size() : file.size() + 8;
    for (uint64_t step = 0, steps = 1 + below(random, 4); step < steps; ++step) {
      if (!gguf && below(random, 2) == 0)
        mutate_json(random, &file);
      else
        mutate_bytes(random, header, &file);
    }
    // A copy of the exact size on the heap, so that the sanitizer sees one byte too far.
    const Bytes exact(file);
    try {
      check(gguf ? parse_gguf(exact.data(), exact.size(), "fuzz")
                 : parse_safetensors(exact.data(), exact.size(), "fuzz"),
            exact.size());
      ++accepted;
    } catch (const Error& error) {
      if (error.code() == Code::kFormat) continue;
      std::fprintf(stderr, "another code than kFormat: %s\n", error.what());
      return 1;
    }
  }
  std::printf("%llu mutated headers: %llu still whole, the others refused\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(accepted));
  return 0;
}

}  // namespace
}  // namespace cortune

int main(int argc, char** argv) {
  const uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  return cortune::run(count, seed);
}
