// bfloat16 as CUDA's __nv_bfloat16: conversions only, rounding to nearest even.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 { uint16_t bits; };

inline float __bfloat162float(__nv_bfloat16 a) {
  const uint32_t wide = (uint32_t)a.bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

inline __nv_bfloat16 __float2bfloat16_rn(float a) {
  if (isnan(a)) return __nv_bfloat16{0x7fff};
  uint32_t wide;
  memcpy(&wide, &a, sizeof wide);
  return __nv_bfloat16{(uint16_t)((wide + 0x7fff + (wide >> 16 & 1)) >> 16)};
}

inline short __bfloat16_as_short(__nv_bfloat16 a) { return (short)a.bits; }
inline __nv_bfloat16 __short_as_bfloat16(short a) { return __nv_bfloat16{(uint16_t)a}; }
