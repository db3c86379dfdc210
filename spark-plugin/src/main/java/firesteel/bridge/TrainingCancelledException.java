package firesteel.bridge;

/** The task was cancelled, or the JVM is leaving. */
public final class TrainingCancelledException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 6;

  /**
   * @param message the problem and its place
   */
  public TrainingCancelledException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
