// Numbers that stand for others: for seeds that do not depend on what they are used beside.
#pragma once
#include <cstdint>
#include <type_traits>

namespace cortune {

// splitmix64's finish (Steele, Lea & Flood 2014): numbers that differ in one bit give unrelated ones.
inline uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// FNV-1a, the same everywhere: of letters, or of token ids.
template <typename Items>
uint64_t hash_of(const Items& items) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const auto item : items)
    hash = (hash ^ static_cast<std::make_unsigned_t<std::decay_t<decltype(item)>>>(item)) * 0x100000001b3;
  return hash;
}

}  // namespace cortune
