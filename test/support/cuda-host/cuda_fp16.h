// IEEE 754 half precision as CUDA's __half: conversions only, rounding to nearest even.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

struct __half { uint16_t bits; };

inline float __half2float(__half a) {
  const int exponent = a.bits >> 10 & 31;
  const int fraction = a.bits & 1023;
  float value;
  if (exponent == 31) value = fraction ? NAN : INFINITY;
  else value = exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(fraction + 1024), exponent - 25);
  return a.bits & 0x8000 ? -value : value;
}

inline __half __float2half_rn(float a) {
  const uint16_t sign = signbit(a) ? 0x8000 : 0;
  const float size = fabsf(a);
  if (isnan(a)) return __half{0x7fff};
  if (size >= 65520.0f) return __half{(uint16_t)(sign | 0x7c00)};
  if (size < 0x1p-14f) return __half{(uint16_t)(sign | (uint16_t)rintf(size * 0x1p24f))};
  int exponent;
  frexpf(size, &exponent);
  // A fraction that rounds up to 2048 carries into the exponent, as it should.
  const int fraction = (int)rintf(ldexpf(size, 11 - exponent));
  return __half{(uint16_t)(sign | (((exponent + 13) << 10) + fraction))};
}

inline short __half_as_short(__half a) { return (short)a.bits; }
inline __half __short_as_half(short a) { return __half{(uint16_t)a}; }
