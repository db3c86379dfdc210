package firesteel.bridge;

/**
 * Counters of this process since its start. A driver counts the commits that its servers apply, an executor those of
 * its own workers. The order of the components is that of the native array.
 *
 * @param commits commits and saves that were applied
 * @param pulls copies of the center variable that were sent or received
 * @param bytesSent bytes written to sockets
 * @param bytesReceived bytes read from sockets
 * @param stalenessSum the sum of the staleness of all these commits
 * @param stalenessMax the largest staleness of one of them
 * @param rows the rows trained in them
 * @param compressionRatio the bytes of compressed messages before by those after; 1 before the first
 * @param compressionError the part that compression kept back, divided by the part to be sent, as a root mean square
 */
public record NativeMetrics(
    long commits,
    long pulls,
    long bytesSent,
    long bytesReceived,
    long stalenessSum,
    long stalenessMax,
    long rows,
    double compressionRatio,
    double compressionError) {

  /** Before the library is loaded. */
  static final NativeMetrics NONE = new NativeMetrics(0, 0, 0, 0, 0, 0, 0, 1, 0);

  static NativeMetrics of(long[] values) {
    return new NativeMetrics(
        values[0],
        values[1],
        values[2],
        values[3],
        values[4],
        values[5],
        values[6],
        Double.longBitsToDouble(values[7]),
        Double.longBitsToDouble(values[8]));
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
