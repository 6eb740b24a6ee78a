/**
 * The one error type of deployed models. Codes continue the 4xx row of the compiler's table:
 * E411 wrong input of an entry, E412 wrong state file, E413 wrong or missing module or file, E414 use after dispose,
 * E415 no threads.
 */
export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
  constructor(
    readonly code: 'E411' | 'E412' | 'E413' | 'E414' | 'E415',
    sentence: string,
  ) {
    super(`ArtifactError ${code}: ${sentence}`);
  }
}
