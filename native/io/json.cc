// A small strict JSON reader for untrusted headers: bounded depth, no duplicate keys, valid UTF-8 only.
#include "io/json.h"

#include <charconv>
#include <cstdio>
#include <unordered_set>

#include "io/header.h"

namespace cortune {
namespace {

void append_utf8(uint32_t point, std::string* out) {
  if (point < 0x80) {
    *out += static_cast<char>(point);
  } else if (point < 0x800) {
    *out += static_cast<char>(0xC0 | point >> 6);
    *out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    *out += static_cast<char>(0xE0 | point >> 12);
    *out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | point >> 18);
    *out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    *out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

class Parser {
 public:
  Parser(std::string_view text, int depth) : text_(text), depth_(depth) {}

  Json document() {
    Json json = value();
    skip_space();
    if (at_ != text_.size()) wrong("text after the end");
    return json;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    throw JsonError(what + " at byte " + std::to_string(at_) + " of the header");
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }
  // Next letter that is not space, without taking it; 0 at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char letter) {
    if (peek() != letter || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char letter) {
    if (!take(letter)) wrong(std::string("expected '") + letter + "'");
  }

  Json value() {
    if (depth_ == 0) wrong("nesting too deep");
    switch (peek()) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return {string()};
      case 't':
        return word("true", {true});
      case 'f':
        return word("false", {false});
      case 'n':
        return word("null", {nullptr});
      default:
        return number();
    }
  }

  Json word(std::string_view name, Json json) {
    if (text_.substr(at_, name.size()) != name) wrong("unknown word");
    at_ += name.size();
    return json;
  }

  Json object() {
    --depth_;
    expect('{');
    JsonObject members;
    std::unordered_set<std::string> seen;
    if (!take('}')) {
      do {
        if (peek() != '"') wrong("expected a name in quotes");
        std::string name = string();
        if (!seen.insert(name).second) wrong("duplicate name " + in_quotes(name));
        expect(':');
        members.emplace_back(std::move(name), value());
      } while (take(','));
      expect('}');
    }
    ++depth_;
    return {std::move(members)};
  }

  Json array() {
    --depth_;
    expect('[');
    JsonArray items;
    if (!take(']')) {
      do items.push_back(value());
      while (take(','));
      expect(']');
    }
    ++depth_;
    return {std::move(items)};
  }

  Json number() {
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    const auto digit = [&](const char* p) { return p < end && *p >= '0' && *p <= '9'; };
    const char* first = begin < end && *begin == '-' ? begin + 1 : begin;
    // JSON has no leading zeros, no '+', no bare '.', no 'inf' (all of which from_chars may take).
    if (!digit(first) || (*first == '0' && digit(first + 1))) wrong("expected a value");
    uint64_t whole = 0;
    const auto [whole_end, whole_fault] = std::from_chars(begin, end, whole);
    const bool fraction = whole_end < end && (*whole_end == '.' || *whole_end == 'e' || *whole_end == 'E');
    if (first == begin && whole_fault == std::errc{} && !fraction) {
      at_ = static_cast<size_t>(whole_end - text_.data());
      return {whole};
    }
    double real = 0;
    const auto [real_end, real_fault] = std::from_chars(begin, end, real);
    if (real_fault != std::errc{} || real_end[-1] == '.') wrong("a number out of range");
    at_ = static_cast<size_t>(real_end - text_.data());
    return {real};
  }

  std::string string() {
    ++at_;  // the opening quote
    std::string out;
    while (true) {
      if (at_ >= text_.size()) wrong("a string without end");
      const char letter = text_[at_];
      if (letter == '"') break;
      if (static_cast<unsigned char>(letter) < 0x20) wrong("a control character in a string");
      ++at_;
      if (letter == '\\')
        escape(&out);
      else
        out += letter;
    }
    ++at_;
    if (!is_utf8(out)) wrong("a string that is not UTF-8");
    return out;
  }

  void escape(std::string* out) {
    if (at_ >= text_.size()) wrong("a string without end");
    const char letter = text_[at_++];
    switch (letter) {
      case '"':
      case '\\':
      case '/':
        *out += letter;
        return;
      case 'b':
        *out += '\b';
        return;
      case 'f':
        *out += '\f';
        return;
      case 'n':
        *out += '\n';
        return;
      case 'r':
        *out += '\r';
        return;
      case 't':
        *out += '\t';
        return;
      case 'u':
        append_utf8(code_point(), out);
        return;
      default:
        wrong("an unknown escape");
    }
  }

  uint32_t code_point() {
    const uint32_t high = hex4();
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high > 0xDBFF || text_.substr(at_, 2) != "\\u") wrong("half a surrogate pair");
    at_ += 2;
    const uint32_t low = hex4();
    if (low < 0xDC00 || low > 0xDFFF) wrong("half a surrogate pair");
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
  }

  uint32_t hex4() {
    uint32_t unit = 0;
    if (text_.size() - at_ < 4) wrong("a short escape");
    const char* begin = text_.data() + at_;
    const auto [end, fault] = std::from_chars(begin, begin + 4, unit, 16);
    if (fault != std::errc{} || end != begin + 4) wrong("an escape that is not hexadecimal");
    at_ += 4;
    return unit;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_;
};

}  // namespace

Json parse_json(std::string_view text, int depth) { return Parser(text, depth).document(); }

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(letter));
      out += escape;
    } else {
      out += letter;
    }
  }
  return out + '"';
}

}  // namespace cortune
