package firesteel.bridge;

/**
 * Counters of this process since the library was loaded. The order of the components is that of the native array.
 *
 * @param commits commits and saves applied by the servers of this process
 * @param pulls center variables sent by the servers of this process
 * @param bytesSent bytes of frames written
 * @param bytesReceived bytes of frames read
 * @param stalenessSum the sum of the staleness of all applied commits
 * @param stalenessMax the largest staleness of an applied commit
 * @param rows rows trained by the workers of this process
 */
public record NativeMetrics(
    long commits,
    long pulls,
    long bytesSent,
    long bytesReceived,
    long stalenessSum,
    long stalenessMax,
    long rows) {

  /** Before the library is loaded. */
  static final NativeMetrics NONE = new NativeMetrics(0, 0, 0, 0, 0, 0, 0);

  static NativeMetrics of(long[] values) {
    return new NativeMetrics(
        values[0], values[1], values[2], values[3], values[4], values[5], values[6]);
  }

  /**
   * The mean staleness of the applied commits.
   *
   * @return 0 before the first commit
   */
  public double stalenessMean() {
    return commits == 0 ? 0 : (double) stalenessSum / commits;
  }
}
