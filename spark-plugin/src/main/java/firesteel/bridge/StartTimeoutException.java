package firesteel.bridge;

/** The workers did not all start in time. */
public final class StartTimeoutException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 15;

  /**
   * @param message the problem and its place
   */
  public StartTimeoutException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
