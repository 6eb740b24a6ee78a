/** What PyTorch says of the limits of its dtypes. */
import { finfo, iinfo } from 'gradc';
import { describe, expect, test } from 'vitest';

describe('limits of dtypes', () => {
  test('finfo', () => {
    expect(finfo('bfloat16')).toMatchObject({ bits: 16, eps: 0.0078125, resolution: 0.01, max: 3.3895313892515355e38 });
    expect(finfo()).toEqual({
      dtype: 'float32',
      bits: 32,
      min: -3.4028234663852886e38,
      max: 3.4028234663852886e38,
      eps: 1.1920928955078125e-7,
      smallestNormal: 1.1754943508222875e-38,
      tiny: 1.1754943508222875e-38,
      resolution: 1e-6,
    });
    expect(finfo('complex128')).toMatchObject({ dtype: 'float64', resolution: 1e-15 });
    expect(() => finfo('int32')).toThrow(/E108: finfo: expects a float type, not int32[\s\S]*use iinfo/);
  });
  test('iinfo', () => {
    expect(iinfo('uint8')).toEqual({ dtype: 'uint8', bits: 8, min: 0, max: 255 });
    expect(iinfo('int64').max).toBe(9223372036854775807n);
    expect(() => iinfo('float32')).toThrow(/E108: iinfo: expects an integer type, not float32/);
  });
});
